"""The style sheet of a report's page: paper-white or dark, a desk or a telephone. Knows no report.

A table that is wider than the page scrolls by itself, and a shade at its edge says that there is more.
"""

STYLE = """
:root{--paper:#fbfaf7;--card:#fff;--ink:#1c1e21;--faint:#6b7078;--rule:#e3e1da;--shade:#0003;
--pass:#1c7a43;--fail:#b3261e;--open:#8a5a00;
--series-0:#1f5fbf;--series-1:#c25a12;--series-2:#2a8a57;--series-3:#8247b5;--series-4:#a83260;--series-5:#4a6572}
@media(prefers-color-scheme:dark){:root{--paper:#131519;--card:#1b1e24;--ink:#e9eaed;--faint:#9aa1ac;--rule:#2d313a;
--shade:#fff3;--pass:#5fcf8d;--fail:#ff8a80;--open:#f0b95b;
--series-0:#7db1ff;--series-1:#ffa566;--series-2:#6fd6a0;--series-3:#c79bf2;
--series-4:#f58cb4;--series-5:#a9bcc6}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:auto;padding:48px 24px 80px}
h1{font-size:2.1rem;line-height:1.2;margin:.1em 0 .3em}
h1,h2,.lead,figcaption{overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:56px 0 14px}h3{font-size:.9rem;font-weight:600;margin:0;color:var(--faint)}
p{margin:0}.kicker{color:var(--faint);font-size:.9rem}.lead{max-width:44em;font-size:1.1rem}
.note,.flag{color:var(--faint);font-size:.87rem;font-weight:400}.flag{color:var(--open)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(225px,1fr));gap:16px;margin-top:32px}
.card,figure{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:18px 20px;margin:0;min-width:0}
.big{font-size:2rem;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}
.big small{font-size:1rem;font-weight:400}
.badge{display:inline-block;margin-top:6px;font-size:.78rem;font-weight:650;color:var(--faint);white-space:nowrap}
.badge span{font-weight:400}.pass{color:var(--pass)}.fail{color:var(--fail)}
.open{color:var(--open)}td .badge span{display:none}
.plots{columns:2 440px;column-gap:16px}.plots figure{break-inside:avoid;margin-bottom:16px}
.films{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:16px}
.films figure{grid-column:1/-1}.films .narrow{grid-column:auto}
figcaption{margin-bottom:10px}video{display:block;width:100%;max-width:820px;border-radius:6px;background:#121418}
svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--paper) 30%,transparent) left/40px 100% no-repeat local,
linear-gradient(270deg,var(--paper) 30%,transparent) right/40px 100% no-repeat local,
linear-gradient(90deg,var(--shade),transparent) left/14px 100% no-repeat scroll,
linear-gradient(270deg,var(--shade),transparent) right/14px 100% no-repeat scroll}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:.93rem;font-variant-numeric:tabular-nums}
th,td{padding:9px 14px 9px 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
thead th{color:var(--faint);font-weight:500}th:first-child,tr .text{text-align:left}tbody th{font-weight:500}
tbody th{white-space:normal;min-width:9em;position:sticky;left:0;background:var(--paper)}
.prose{text-align:left}td.prose{white-space:normal;min-width:11em}.said{text-align:center}th.said{padding-right:0}
td.said{padding:7px 5px;white-space:normal;font-size:.78rem;border:1px solid var(--paper)}
.said+:not(.said){padding-left:14px}td.said b{display:block;font-weight:650}
td.open b{font-size:.68rem}td.said small{color:var(--faint);font-size:.72rem}
td.pass,td.fail,td.open{background:color-mix(in srgb,currentColor 13%,transparent)}
td.odd{outline:2px solid var(--fail);outline-offset:-3px}td.odd small{color:var(--fail);font-weight:650}
th code{display:block;color:var(--faint);font-size:.76rem;font-weight:400;overflow-wrap:anywhere}
code{font-size:.92em}details{border-bottom:1px solid var(--rule);padding:8px 0}
summary{cursor:pointer}pre{overflow-x:auto;font-size:.82rem}
@media(max-width:600px){main{padding:28px 16px 56px}h1{font-size:1.6rem}.card,figure{padding:14px}
h2{margin-top:40px}.cards{gap:10px}th code{display:none}tbody th{min-width:6em}}
"""
