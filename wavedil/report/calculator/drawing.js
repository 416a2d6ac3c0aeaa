"use strict";
// The pictures, as SVG text: time runs to the right, the output's own sample is at the right edge.
// Everything put into the text is a number or a word of this file.

const MAX_TREE_COLUMNS = 64; // wider trees are drawn as the outline of what they reach
const MAX_TREE_LAYERS = 16;
const WIDEST_COLUMN = 28;
const TREE_HEIGHT = 440;
const CHART_HEIGHT = 110;

/** Where a lag lies in a picture `width` pixels wide. */
function timeAxis(width, rows) {
  const { size } = rows.at(-1);
  const prefix = width < 480 ? "d " : "dilation ";
  const labels = rows.map((row) => (row.name === "input" ? "input" : prefix + short(row.dilation)));
  const gutter = 12 + 7 * Math.max(7, ...labels.map((label) => label.length));
  const column = Math.min(WIDEST_COLUMN, (width - gutter - 8) / size);
  const right = gutter + size * column;
  return { size, labels, gutter, column, right, x: (lag) => right - (lag + 0.5) * column };
}

function svg(axis, height, label, content) {
  const width = Math.ceil(axis.right + 8);
  return (
    `<svg width="${width}" height="${Math.ceil(height)}" role="img" aria-label="${label}">` +
    `${content}</svg>`
  );
}

const path = (name, d) => `<path class="${name}" d="${d}"/>`;
const dots = (name, points, size) =>
  `<path class="dots ${name}" stroke-width="${size}" d="${points.map(([x, y]) => `M${x} ${y}h0`).join("")}"/>`;
const text = (x, y, words, anchor = "start") =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;

/** Lags too few to see between two boxes. */
const unseenGap = (axis) => Math.floor(0.5 / axis.column);

/** Runs of lags as boxes, none too thin to see. */
function boxes(axis, runs, y, height, thinnest = 1) {
  return runs
    .map(([first, last]) => {
      const left = axis.x(last) - axis.column / 2;
      const width = Math.max(thinnest, (last - first + 1) * axis.column);
      return `M${left} ${y}h${width}v${height}h${-width}z`;
    })
    .join("");
}

function treePicture(rows, axis, chosenLag) {
  const isSmall = axis.size <= MAX_TREE_COLUMNS && rows.length <= MAX_TREE_LAYERS;
  return isSmall ? everyPath(rows, axis, chosenLag) : outline(rows, axis, chosenLag);
}

/** Level 0 is the signal, level i the output of row i; level 0 is drawn lowest. */
function levelHeights(rows, rowHeight) {
  return Array.from({ length: rows.length + 1 }, (_, i) => 14 + (rows.length - i) * rowHeight);
}

function layerLabels({ labels }, y) {
  const every = Math.ceil(13 / (y[0] - y[1]));
  return labels
    .map((label, i) => (i % every === 0 ? text(0, (y[i] + y[i + 1]) / 2 + 4, label) : ""))
    .join("");
}

/** Small stacks: each sample a dot, each tap on a path to the output a line. */
function everyPath(rows, axis, chosenLag) {
  const y = levelHeights(rows, 38);
  const reached = reachedLags(rows);
  const chosen = lagsOnPathsTo(chosenLag, rows, reached);
  const lines = { plain: "", chosen: "" };
  rows.forEach((row, i) => {
    for (const lag of reached[i + 1]) {
      for (const below of tapLags(row).map((tap) => lag + tap)) {
        const onPath = chosen[i + 1].has(lag) && chosen[i].has(below);
        lines[onPath ? "chosen" : "plain"] +=
          `M${axis.x(below)} ${y[i]}L${axis.x(lag)} ${y[i + 1]}`;
      }
    }
  });
  const every = Array.from({ length: axis.size }, (_, lag) => lag);
  const points = (levels) =>
    levels.flatMap((lags, i) => [...lags].map((lag) => [axis.x(lag), y[i]]));
  const size = Math.min(10, Math.max(2.5, axis.column * 0.45));
  const content =
    layerLabels(axis, y) +
    path("tap", lines.plain) +
    path("tap chosen", lines.chosen) +
    dots("idle", points(y.map(() => every)), size) +
    dots("reached", points(reached), size) +
    dots("chosen", points(chosen), size);
  const label = "Tree of the paths from the output, above, to the samples it sees, below";
  return svg(axis, y[0] + 12, label, content);
}

/** For every level, the lags that the output's paths go through. */
function reachedLags(rows) {
  const levels = [[0]];
  for (const row of rows.slice().reverse()) {
    const below = levels[0].flatMap((lag) => tapLags(row).map((tap) => lag + tap));
    levels.unshift([...new Set(below)]);
  }
  return levels;
}

/** Of those, the ones on a path to one sample of the signal. */
function lagsOnPathsTo(chosenLag, rows, reached) {
  const levels = [new Set(reached[0].filter((lag) => lag === chosenLag))];
  rows.forEach((row, i) => {
    const leads = (lag) => tapLags(row).some((tap) => levels[i].has(lag + tap));
    levels.push(new Set(reached[i + 1].filter(leads)));
  });
  return levels;
}

/** Large stacks: what the output reaches at every level, and one path to the chosen sample. */
function outline(rows, axis, chosenLag) {
  const rowHeight = Math.min(22, TREE_HEIGHT / rows.length);
  const y = levelHeights(rows, rowHeight);
  const thickness = Math.max(1, Math.min(6, rowHeight * 0.6));
  const gap = unseenGap(axis);
  let runs = [[0, 0]];
  const drawn = (runs, i) => boxes(axis, runs, y[i] - thickness / 2, thickness, 2);
  let reach = drawn(runs, rows.length);
  for (let i = rows.length - 1; i >= 0 && runs; i--) {
    runs = runsThrough(runs, rows[i], gap);
    if (runs) reach += drawn(runs, i);
  }
  const lags = onePath(rows, chosenLag);
  const line = (lags ?? []).map((lag, i) => `${i ? "L" : "M"}${axis.x(lag)} ${y[i]}`).join("");
  const content =
    layerLabels(axis, y) + path("reach", reach) + path("tap chosen", line);
  const label = "What the output, above, reaches in every layer, down to the signal, below";
  return svg(axis, y[0] + 12, label, content);
}

/** The lags of one path to `lag`, from the signal up to the output; null where there is none. */
function onePath(rows, lag) {
  const seenBelow = [[[0, 0]]];
  for (const row of rows) {
    const runs = seenBelow.at(-1) && runsThrough(seenBelow.at(-1), row, 0);
    seenBelow.push(runs);
  }
  if (seenBelow.includes(null)) return null;
  const steps = [];
  let left = lag;
  for (let i = rows.length - 1; i >= 0; i--) {
    const rest = restAfterOneTap(left, rows[i], seenBelow[i]);
    if (rest === null) return null;
    steps.push(left - rest);
    left = rest;
  }
  let at = 0;
  return [0, ...steps.map((step) => (at += step))].reverse();
}

/** What is left of `lag` after a tap of this layer, so that the layers below can take the rest. */
function restAfterOneTap(lag, { kernelSize, dilation }, seen) {
  for (const [first, last] of seen) {
    const tap = Math.max(0, Math.ceil((lag - last) / Number(dilation)));
    const rest = lag - tap * Number(dilation);
    if (tap < kernelSize && rest >= first) return rest;
  }
  return null;
}

/** Paths per lag as bars; below them a strip of what is seen and one of the holes. */
function coveragePicture(paths, runs, axis, chosenLag) {
  const base = paths ? CHART_HEIGHT + 12 : 12;
  const strip = runs
    ? path("seen", boxes(axis, joined(runs, unseenGap(axis)), base + 2, 4)) +
      path("hole", boxes(axis, joined(holeRuns(runs), unseenGap(axis)), base + 6, 4))
    : "";
  const marker = path("marker", `M${axis.x(chosenLag)} 6V${base + 12}`);
  const content = (paths ? bars(paths, axis, base) : "") + strip + marker + ticks(axis, base + 26);
  const label = "Paths per lag; the text beside the picture says the numbers";
  return svg(axis, base + 34, label, content);
}

function bars(paths, axis, base) {
  const most = paths.reduce((a, b) => (b > a ? b : a));
  // BigInt counts may be beyond any Number; their ratio is not.
  const share = (count) =>
    typeof count === "bigint" ? Number((count * 10000n) / most) / 10000 : count / most;
  const perBin = Math.max(1, Math.ceil(1 / axis.column));
  const bin = (start, choose) => paths.slice(start, start + perBin).reduce(choose);
  const draw = (choose) => {
    let d = "";
    for (let lag = 0; lag < paths.length; lag += perBin) {
      const height = share(bin(lag, choose)) * CHART_HEIGHT;
      const width = axis.column * Math.min(perBin, paths.length - lag);
      const left = axis.x(lag) + axis.column / 2 - width;
      const inset = axis.column > 4 ? 0.5 : 0;
      d += `M${left + inset} ${base}v${-height}h${width - 2 * inset}v${height}z`;
    }
    return d;
  };
  return (
    text(axis.gutter - 6, base - CHART_HEIGHT + 8, short(most), "end") +
    text(axis.gutter - 6, base, "0", "end") +
    path("most", draw((a, b) => (b > a ? b : a))) +
    (perBin > 1 ? path("fewest", draw((a, b) => (b < a ? b : a))) : "")
  );
}

/** A count in few characters: 1536, or rounded to 2.1e14. It may be beyond any Number. */
function short(count) {
  const digits = String(count);
  if (digits.length < 8) return digits;
  return `${(Number(digits.slice(0, 3)) / 100).toFixed(1)}e${digits.length - 1}`;
}

/** Lags written under the picture, at round numbers far enough apart to read. */
function ticks(axis, y) {
  const roomy = [1, 2, 5].flatMap((n) => Array.from({ length: 10 }, (_, i) => n * 10 ** i));
  const room = 12 + 8 * String(axis.size).length;
  const step = roomy.sort((a, b) => a - b).find((n) => n * axis.column >= room);
  let labels = "";
  for (let lag = 0; lag < axis.size; lag += step) labels += text(axis.x(lag), y, lag, "middle");
  return labels;
}
