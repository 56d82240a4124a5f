"use strict";
// Draws the charts from the series in #data. Colours come from the page's style, so that charts
// follow it into dark mode.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const home = document.getElementById("charts");
  if (!data.t.length) return;
  document.getElementById("hint").hidden = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const charts = [];
  const sync = uPlot.sync("time");

  const digits = (v) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2));
  const short = (v) => (v >= 1e6 ? digits(v / 1e6) + "M" : v >= 1e4 ? digits(v / 1e3) + "k" : String(+v.toFixed(2)));
  const ms = (v) => (v >= 1000 ? digits(v / 1000) + " s" : digits(v) + " ms");
  // On an axis there is less room.
  const tick = (v) => (v >= 1000 ? +(v / 1000).toFixed(2) + " s" : +v.toPrecision(3) + " ms");
  const clock = (s) => {
    s = Math.round(s);
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60, r = s % 60;
    const two = (n) => String(n).padStart(2, "0");
    return h ? h + ":" + two(m) + ":" + two(r) : m + ":" + two(r);
  };
  const shown = (format) => (u, v) => (v == null ? "–" : format(v));

  // Phases and faults lie behind the lines; their names stand at the top where there is room.
  function shades(u) {
    const ctx = u.ctx, ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.font = 11 * ratio + "px system-ui, sans-serif";
    ctx.textBaseline = "top";
    const draw = (s, fill, row, line) => {
      const from = u.valToPos(s.from, "x", true), to = u.valToPos(s.to, "x", true);
      ctx.fillStyle = fill;
      ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
      if (line) {
        ctx.fillStyle = line;
        ctx.fillRect(from, u.bbox.top, ratio, u.bbox.height);
        ctx.fillRect(to, u.bbox.top, ratio, u.bbox.height);
      }
      const left = Math.max(from, u.bbox.left), room = Math.min(to, u.bbox.left + u.bbox.width) - left - 6 * ratio;
      let name = s.name;
      while (name && ctx.measureText(name + (name === s.name ? "" : "…")).width > room) name = name.slice(0, -1);
      if (name.length > 2 || name === s.name) {
        ctx.fillStyle = colour(line ? "bad" : "dim");
        ctx.fillText(name === s.name ? name : name + "…", left + 4 * ratio, u.bbox.top + (3 + row * 14) * ratio);
      }
    };
    for (const s of data.phases) {
      if (s.kind !== "baseline" && s.kind !== "fault") draw(s, colour(s.kind === "recovery" ? "shade-recovery" : "shade-other"), 0);
      else draw(s, "transparent", 0);
    }
    for (const s of data.faults) draw(s, colour("shade-fault"), 1, colour("red"));
    ctx.restore();
  }

  function axis(more) {
    return Object.assign({ stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } }, more);
  }

  // A chart over time. `lines` are {name, values, colour, fill?, width?, dash?}.
  function overTime(chart) {
    const lines = chart.lines.filter((l) => l.values.some((v) => v != null));
    const isLog = chart.log && chart.log.on;
    const options = {
      width: Math.max(280, home.clientWidth),
      height: chart.height || 230,
      scales: { x: { time: false }, y: isLog ? { distr: 3 } : { range: (u, min, max) => [0, max > 0 ? max * 1.12 : 1] } },
      axes: [
        axis({ values: (u, ticks) => ticks.map(clock) }),
        axis({ size: 58, values: (u, ticks) => ticks.map((v) => (v == null ? "" : (chart.tick || chart.format)(v))) }),
      ],
      cursor: { sync: { key: sync.key, setSeries: false }, focus: { prox: 24 } },
      focus: { alpha: 0.35 },
      legend: { live: true },
      hooks: { drawClear: [shades] },
      series: [{ label: "time", value: shown(clock) }].concat(
        lines.map((l) => ({
          label: l.name, stroke: colour(l.colour), width: l.width || 1.5, dash: l.dash, fill: l.fill && colour(l.colour) + "33",
          value: shown(chart.format), points: { show: data.t.length < 3 }, spanGaps: false,
        })),
      ),
    };
    // A logarithm has no place for zero.
    const values = lines.map((l) => (isLog ? l.values.map((v) => (v > 0 ? v : null)) : l.values));
    return new uPlot(options, [data.t].concat(values), chart.place);
  }

  function histogram(chart) {
    const { bounds, counts } = data.histogram;
    const x = bounds.map((b) => Math.log10(b));
    const bars = counts.concat([null]);
    const isLog = chart.log.on;
    const options = {
      width: Math.max(280, home.clientWidth),
      height: 230,
      scales: { x: { time: false, range: (u, min, max) => [x[0] - 0.02, x[x.length - 1] + 0.02] }, y: isLog ? { distr: 3, range: (u, min, max) => [0.8, max * 1.5] } : { range: (u, min, max) => [0, max * 1.08] } },
      axes: [
        axis({ splits: () => decades(x[0], x[x.length - 1]), values: (u, ticks) => ticks.map((v) => tick(10 ** v)) }),
        axis({ size: 58, values: (u, ticks) => ticks.map((v) => (v == null ? "" : short(v))) }),
      ],
      cursor: { drag: { x: false, y: false } },
      series: [
        { label: "latency", value: (u, v, s, i) => (i == null || i >= counts.length ? "–" : ms(bounds[i]) + " to " + ms(bounds[i + 1])) },
        { label: "requests", stroke: colour("blue"), fill: colour("blue") + "99", paths: uPlot.paths.bars({ size: [1, Infinity], align: 1, gap: 1 }), value: shown(String), points: { show: false } },
      ],
    };
    return new uPlot(options, [x, isLog ? bars.map((v) => v || null) : bars], chart.place);
  }

  function decades(from, to) {
    // On a short way the values between the powers of ten as well.
    const steps = to - from > 2 ? [1] : [1, 2, 5];
    const all = [];
    for (let p = Math.floor(from); p <= Math.ceil(to); p++) for (const s of steps) all.push(p + Math.log10(s));
    return all.filter((v) => v >= from - 0.02 && v <= to + 0.02);
  }

  function add(chart) {
    const box = document.createElement("div");
    box.className = "chart";
    const title = document.createElement("h2");
    title.textContent = chart.title;
    box.append(title);
    if (chart.log) {
      const button = document.createElement("button");
      button.type = "button";
      const say = () => (button.textContent = chart.log.on ? "linear" : "logarithmic");
      button.addEventListener("click", () => { chart.log.on = !chart.log.on; say(); draw(chart); });
      say();
      title.append(button);
    }
    chart.place = document.createElement("div");
    chart.place.className = "plot";
    box.append(chart.place);
    home.append(box);
    charts.push(chart);
    draw(chart);
  }

  function draw(chart) {
    if (chart.plot) chart.plot.destroy();
    chart.plot = chart.make(chart);
  }

  const line = (name, values, colour, more) => Object.assign({ name, values, colour }, more);
  const some = (values) => values.some((v) => v > 0);
  const each = data.step_s > 1 ? " (points of " + data.step_s + " s; latency: the worst second)" : "";

  add({
    title: "Latency from the due time" + each, make: overTime, format: ms, tick, log: { on: false }, height: 280,
    lines: [line("p50", data.p50, "green"), line("p90", data.p90, "blue"), line("p95", data.p95, "orange"), line("p99", data.p99, "red"), line("max", data.max, "grey", { width: 1, dash: [4, 3] })],
  });
  const rates = [line("due", data.due, "grey", { dash: [6, 4] }), line("good", data.ok, "blue", { fill: true })];
  if (some(data.failed)) rates.push(line("failed", data.failed, "red"));
  if (some(data.skipped)) rates.push(line("skipped", data.skipped, "orange"));
  add({ title: "Requests a second", make: overTime, format: short, lines: rates });
  if (data.errors.length) {
    const colours = ["red", "orange", "violet", "blue", "green", "grey"];
    add({ title: "Errors a second, by kind", make: overTime, format: short, lines: data.errors.map(([kind, values], i) => line(kind, values, colours[i % colours.length])) });
  }
  const busy = [];
  if (some(data.users)) busy.push(line("users", data.users, "violet"));
  if (some(data.in_flight)) busy.push(line("in flight", data.in_flight, "blue"));
  if (some(data.connections)) busy.push(line("connections", data.connections, "green"));
  if (busy.length) add({ title: "Users, requests in flight, connections", make: overTime, format: short, lines: busy });
  if (data.unavailable.some((v) => v != null)) {
    add({ title: "Probes not answered", make: overTime, format: (v) => +v.toFixed(1) + "%", height: 150, lines: [line("not answered", data.unavailable, "red", { fill: true })] });
  }
  if (some(data.cpu)) {
    add({ title: "Processor time of the generator, of one processor", make: overTime, format: (v) => v.toFixed(0) + "%", height: 150, lines: [line("processor", data.cpu, "grey", { fill: true })] });
  }
  if (data.histogram.counts.length) add({ title: "How many requests took how long", make: histogram, log: { on: false } });

  const redraw = () => charts.forEach(draw);
  let width = home.clientWidth;
  new ResizeObserver(() => {
    if (home.clientWidth === width) return;
    width = home.clientWidth;
    charts.forEach((c) => c.plot.setSize({ width: Math.max(280, width), height: c.plot.height }));
  }).observe(home);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
  document.documentElement.dataset.charts = String(charts.length);
})();
