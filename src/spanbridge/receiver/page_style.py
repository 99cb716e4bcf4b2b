"""How the page looks, in light and in dark."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #444);
  --soft: light-dark(#f6f5f8, #211d29); --quiet: light-dark(#5f5a6b, #aaa);
  --bad: light-dark(#a40000, #ff8f8f);
  --bar: light-dark(#6a5acd, #a89cff);
  --mark: light-dark(#ffe9a8, #5c4a10); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 80rem; padding: 0 1rem;
  color: light-dark(#1f1633, #eee); background: light-dark(#fff, #16131c); }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
h4 { font-size: .85rem; margin: .8rem 0 .2rem; color: var(--quiet); font-weight: 600; }
p { margin: .3rem 0; } code, pre, dl { font: 13px/1.5 ui-monospace, monospace; }
details.item { border-bottom: 1px solid var(--line); }
details.item > summary { padding: .35rem 0; overflow-wrap: anywhere; }
details.item > div { padding: 0 0 1rem 1.2rem; }
summary { cursor: pointer; }
.bad { color: var(--bad); } .quiet { color: var(--quiet); }
.op { color: var(--quiet); } .number { text-align: right; white-space: nowrap; }
.time { color: var(--quiet); font-variant-numeric: tabular-nums;
  white-space: nowrap; margin-right: .6rem; }
.frame { border-left: 3px solid var(--line); padding: .2rem 0 .2rem .8rem; margin: .3rem 0; }
pre { margin: .3rem 0; padding: .4rem .6rem; background: var(--soft); overflow-x: auto; }
mark { background: var(--mark); color: inherit; display: inline-block; min-width: 100%; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr);
  gap: 0 1rem; margin: .2rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
.tree .row > summary, .tree .leaf { display: grid; align-items: center; padding: .1rem 0;
  grid-template-columns: 1rem minmax(0, 1fr) 7rem 10rem 12rem; gap: 0 .6rem; }
.tree summary::before { content: "▸"; color: var(--quiet); } .tree .leaf::before { content: ""; }
.tree details[open] > summary::before { content: "▾"; }
.tree .row span { overflow-wrap: anywhere; }
.tree details > :not(summary) { margin-left: 2.4rem; }
.bar { background: var(--soft); height: .7rem; }
.bar i { display: block; height: 100%; background: var(--bar); }
"""
