// The same service as hop.py, with Sentry's SDK for Node.
const Sentry = require("@sentry/node");

const { SENTRY_DSN, SENTRY_RELEASE, PORT, HOPS } = process.env;
Sentry.init({ dsn: SENTRY_DSN, release: SENTRY_RELEASE, environment: "staging", tracesSampleRate: 1.0 });

const http = require("node:http");
const hops = JSON.parse(HOPS);
const NAMES = ["traceparent", "tracestate", "sentry-trace", "baggage"];

const server = http.createServer(async (request, response) => {
  if (request.url === "/flush") {
    await Sentry.flush(5000);
    response.end("true");
    return;
  }
  const heard = Object.fromEntries(
    NAMES.filter((name) => name in request.headers).map((name) => [name, request.headers[name]]),
  );
  const rest = request.url.split("/hop/")[1].split(".").slice(1).join(".");
  let answer = [{ role: "node", heard }];
  if (rest) {
    const next = await fetch(`${hops[rest.split(".")[0]]}/hop/${rest}`);
    answer = answer.concat(await next.json());
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(answer));
});
server.listen(Number(PORT), "127.0.0.1");
