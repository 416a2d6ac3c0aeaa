"use strict";
// What wavedil.receptive_field computes, with the same numbers and the same messages.
// Typed numbers are BigInt. A field of at most MAX_SPAN samples makes every lag an exact Number.

const MAX_SPAN = 2 ** 30; // as in Python
const MAX_LAYERS = 1000;
const MAX_RUNS = 2 ** 15; // more pieces than this would make typing slow
const MAX_PATH_STEPS = 2 ** 22; // layers times lags, for the same reason

class UserError extends Error {}

function wholeNumber(name, text) {
  const number = asInteger(text);
  if (number === null || number < 1n) {
    const shown = text.trim() || "empty";
    throw new UserError(`${name} is ${shown}, but it must be a whole number of at least 1`);
  }
  return number;
}

/** The integer that Python's int() reads, or null. */
function asInteger(text) {
  const digits = text.trim();
  return /^[+-]?\d+(_\d+)*$/.test(digits) ? BigInt(digits.replace(/[+_]/g, "")) : null;
}

/** "1:8,3" -> [1n, 2n, 4n, 8n, 3n] */
function parseDilations(text) {
  return text.split(",").flatMap((part) => {
    const colon = part.indexOf(":");
    return colon < 0
      ? [oneDilation(part, text)]
      : doublings(part, part.slice(0, colon), part.slice(colon + 1));
  });
}

function oneDilation(number, text) {
  const dilation = asInteger(number);
  if (dilation === null) {
    throw new UserError(
      `dilations '${text}' hold '${number.trim()}', which is no whole number; ` +
        "write 1:512 for 1, 2, 4 ... 512, or a list such as 1,2,4",
    );
  }
  if (dilation < 1n) {
    throw new UserError(`dilation is ${dilation}, but it must be a whole number of at least 1`);
  }
  return dilation;
}

function doublings(part, first, last) {
  const dilations = [oneDilation(first, part)];
  const end = oneDilation(last, part);
  while (dilations.at(-1) < end) dilations.push(2n * dilations.at(-1));
  if (dilations.at(-1) !== end) {
    const nearest = dilations.at(-2) ?? dilations[0];
    throw new UserError(
      `dilations '${part.trim()}' double from ${dilations[0]} and never meet ${end}; ` +
        `use ${dilations[0]}:${nearest}, or list the dilations: 1,3,9`,
    );
  }
  return dilations;
}

function stackDilations(text, cycles) {
  const dilations = parseDilations(text);
  const layers = BigInt(dilations.length) * cycles;
  if (layers > MAX_LAYERS) {
    throw new UserError(
      `a stack of ${layers} layers is more than the ${MAX_LAYERS} that this page draws; ` +
        "use fewer cycles or dilations",
    );
  }
  return Array.from({ length: Number(cycles) }, () => dilations).flat();
}

/** A row a layer: what it adds, and the field of the stack up to it. */
function table(kernelSize, dilations, inputKernelSize) {
  const layers = dilations.map((dilation, i) => [String(i + 1), kernelSize, dilation]);
  if (inputKernelSize > 1n) layers.unshift(["input", inputKernelSize, 1n]);
  let size = 1n;
  return layers.map(([name, taps, dilation]) => {
    const adds = (taps - 1n) * dilation;
    size += adds;
    if (size > MAX_SPAN) {
      throw new UserError(
        `a receptive field of ${size} samples is longer than the ${MAX_SPAN} ` +
          "that are worked out exactly; use smaller dilations, kernels or strides",
      );
    }
    return { name, kernelSize: taps, dilation, adds, size: Number(size) };
  });
}

/** The lags that a layer's taps look back. */
function tapLags({ kernelSize, dilation }) {
  return Array.from({ length: Number(kernelSize) }, (_, k) => Number(BigInt(k) * dilation));
}

/** The lags seen through the layers, as runs [first, last] in ascending order; null if too many. */
function seenRuns(layers) {
  // Short dilations first: the runs then join early and stay few.
  const shortestFirst = layers.slice().sort((a, b) => Number(a.dilation - b.dilation));
  let runs = [[0, 0]];
  for (const layer of shortestFirst) {
    runs = runs && runsThrough(runs, layer, 0);
  }
  return runs;
}

/** The runs after one more layer. Those no more than `gap` lags apart are joined: 0 is exact. */
function runsThrough(runs, layer, gap) {
  if (layer.adds === 0n) return runs;
  const [step, adds] = [Number(layer.dilation), Number(layer.adds)];
  // Copies of a run that touch are one longer run; that also spares the copying.
  const touches = ([first, last]) => last - first + 1 + gap >= step;
  const long = runs.filter(touches).map(([first, last]) => [first, last + adds]);
  const apart = runs.filter((run) => !touches(run));
  if (apart.length * Number(layer.kernelSize) > MAX_RUNS) return null;
  const taps = apart.length > 0 ? tapLags(layer) : [];
  const copies = apart.flatMap(([first, last]) => taps.map((tap) => [first + tap, last + tap]));
  return joined([...long, ...copies], gap);
}

function joined(runs, gap) {
  const result = [];
  for (const [first, last] of runs.sort((a, b) => a[0] - b[0])) {
    const before = result.at(-1);
    if (before && first <= before[1] + 1 + gap) before[1] = Math.max(before[1], last);
    else result.push([first, last]);
  }
  return result;
}

/** The lags between the runs: what no path reaches, again as runs. */
function holeRuns(runs) {
  return runs.slice(1).map(([first], i) => [runs[i][1] + 1, first - 1]);
}

/**
 * The shortest dilation beyond what the shorter ones bridge, where there are holes: there are none
 * exactly where each is at most the field of those below it (Brown 1961).
 */
function firstLeap(rows) {
  let bridged = 1n;
  const shortestFirst = rows.slice().sort((a, b) => Number(a.dilation - b.dilation));
  for (const { dilation, adds } of shortestFirst) {
    if (adds > 0n && dilation > bridged) return { dilation, bridged };
    bridged += adds;
  }
  return null;
}

function countLags(runs) {
  return runs.reduce((count, [first, last]) => count + last - first + 1, 0);
}

/** How many paths there are in all: one tap is taken in each layer. */
function totalPaths(rows) {
  return rows.reduce((product, row) => product * row.kernelSize, 1n);
}

/**
 * The number of paths to every lag: the coefficients of the product over layers of
 * 1 + z^d + ... + z^((k - 1) d). BigInt where their sum leaves a Number's exact integers.
 * Null where the work would be felt.
 */
function pathsPerLag(rows) {
  if (rows.length * rows.at(-1).size > MAX_PATH_STEPS) return null;
  const [zero, one] = totalPaths(rows) <= Number.MAX_SAFE_INTEGER ? [0, 1] : [0n, 1n];
  let paths = [one];
  for (const row of rows) {
    paths = row.adds > 0n ? pathsThrough(paths, row, zero) : paths;
  }
  return paths;
}

/** Each count is its neighbour's one dilation before, less what fell out of the kernel, plus what came in. */
function pathsThrough(paths, { kernelSize, dilation, size }, zero) {
  const step = Number(dilation);
  const span = step * Number(kernelSize);
  const sums = new Array(size);
  for (let lag = 0; lag < size; lag++) {
    let sum = lag < paths.length ? paths[lag] : zero;
    if (lag >= step) sum += sums[lag - step];
    if (lag >= span && lag - span < paths.length) sum -= paths[lag - span];
    sums[lag] = sum;
  }
  return sums;
}

/** Rounded as Python's f"{number:.3f}" does: toFixed rounds a tie up, Python to the even digit. */
function fixed(number, places) {
  const rounded = number.toFixed(places);
  // Half a unit of the last place is an exact binary fraction only at odd multiples of 2^-(places + 1).
  const isTie = Math.abs(number * 2 ** (places + 1)) % 2 === 1;
  return isTie && Number(rounded.at(-1)) % 2 === 1
    ? (number - 10 ** -(places + 1)).toFixed(places)
    : rounded;
}

function milliseconds(numSamples, sampleRate) {
  return fixed((1000 * numSamples) / Number(sampleRate), 3);
}
