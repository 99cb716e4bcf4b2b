// Loaded before Spotlight: it listens on loopback alone, and reports to nobody about itself.
"use strict";

const net = require("node:net");

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const callback = rest.find((one) => typeof one === "function");
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, callback);
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  const host = (options && options.host) || "localhost";
  if (!LOOPBACK.has(host)) {
    process.nextTick(() => this.destroy(new Error(`${host} is not on this machine`)));
    return this;
  }
  return connect.apply(this, args);
};
