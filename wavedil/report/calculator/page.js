"use strict";
// The form, the address and the result: read the fields, work it out, show it.

const FIELDS = ["kernel_size", "dilations", "cycles", "input_kernel_size", "sample_rate"];
const NAMES = {
  kernel_size: "kernel size",
  cycles: "number of cycles",
  input_kernel_size: "input kernel size",
  sample_rate: "sample rate",
};
const element = (id) => document.getElementById(id);

let result = null; // the last good one
let lastEdited = "dilations"; // where the message about a stack that is too long appears

function readField(field) {
  const input = element(field);
  if (field === "dilations") return parseDilations(input.value) && input.value;
  // What is no number at all leaves a number field empty, and only this flag shows it.
  return wholeNumber(NAMES[field], input.validity.badInput ? "no number" : input.value);
}

/** The fields' values, with a message at each field that has none. */
function readFields() {
  const values = {};
  for (const field of FIELDS) {
    values[field] = attempt(field, () => readField(field));
  }
  return Object.values(values).includes(null) ? null : values;
}

/** What `work` gives, or null with its message shown at the field. */
function attempt(field, work) {
  showMessage(field, "");
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    showMessage(field, error.message);
    return null;
  }
}

function showMessage(field, message) {
  const place = element(`${field}_message`);
  if (place.textContent !== message) place.textContent = message;
  element(field).setAttribute("aria-invalid", String(message !== ""));
}

function compute(values) {
  const dilations = stackDilations(values.dilations, values.cycles);
  const rows = table(values.kernel_size, dilations, values.input_kernel_size);
  return { values, rows, size: rows.at(-1).size, runs: seenRuns(rows), paths: pathsPerLag(rows) };
}

function update() {
  const values = readFields();
  const fresh = values && attempt(lastEdited, () => compute(values));
  document.body.classList.toggle("stale", !fresh);
  element("stale").textContent = fresh
    ? ""
    : `Not up to date: a field cannot be used. Below is the last good result, for ${stackInWords()}.`;
  if (!fresh) return;
  result = fresh;
  show();
  writeAddress();
}

function show() {
  const { values, rows, size, runs } = result;
  const rate = Number(values.sample_rate);
  element("size").textContent = size;
  element("unit").textContent = size === 1 ? "sample" : "samples";
  element("milliseconds").textContent = milliseconds(size, rate);
  element("seconds").textContent = fixed(size / rate, 6);
  element("past").textContent = plural(size - 1, "sample");
  element("num_layers").textContent = plural(rows.length, "layer");
  element("stack").textContent = stackInWords();
  element("holes").textContent = holesInWords();
  element("holes").classList.toggle("some", runs?.length > 1);
  element("paths").textContent = pathsInWords();
  element("command").replaceChildren(...commandLine());
  element("layers").innerHTML = rows.map((row) => tableRow(row, rate)).join("");
  element("lag").max = size - 1;
  if (element("lag").dataset.touched !== "yes") element("lag").value = size - 1;
  draw();
}

function tableRow({ name, kernelSize, dilation, adds, size }, rate) {
  const cells = [kernelSize, dilation, `+${adds}`, size, milliseconds(size, rate)];
  return `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

/** What depends on the chosen lag or on the window's width. */
function draw() {
  const { rows, size, runs, paths, values } = result;
  const lag = Number(element("lag").value);
  const axis = timeAxis(element("pictures").clientWidth, rows);
  element("tree").innerHTML = treePicture(rows, axis, lag);
  element("coverage").innerHTML = coveragePicture(paths, runs, axis, lag);
  const slider = element("lag");
  slider.style.marginLeft = `${axis.x(size - 1) - 8}px`;
  slider.style.width = `${(size - 1) * axis.column + 16}px`;
  slider.disabled = size === 1;
  const reading = lagInWords(lag, milliseconds(lag, values.sample_rate));
  element("reading").textContent = reading;
  slider.setAttribute("aria-valuetext", reading);
}

function lagInWords(lag, ms) {
  const { paths, runs } = result;
  const where = `lag ${lag}, ${ms} ms before the output`;
  if (paths) return `${where}: ${plural(paths[lag], "path")}${paths[lag] ? "" : ", a hole"}`;
  if (!runs) return where;
  return `${where}: ${runs.some(([a, b]) => a <= lag && lag <= b) ? "seen" : "a hole"}`;
}

function holesInWords() {
  const { runs, rows, size } = result;
  if (!runs) return "Holes: too many pieces to count here; wavedil rf counts them.";
  const seen = countLags(runs);
  if (seen === size) return "No holes: every sample is seen.";
  const holes = holeRuns(runs);
  const listed = holes.slice(0, 8).map(([a, b]) => (a === b ? a : `${a}–${b}`));
  const { dilation, bridged } = firstLeap(rows);
  return (
    `${plural(size - seen, "hole")}: only ${seen} of the ${size} samples are seen. ` +
    `Dilation ${dilation} leaps over the ${plural(bridged, "sample")} that the shorter ones ` +
    `see together; use at most ${bridged} there. ` +
    `No path reaches lag ${listed.join(", ")}${holes.length > 8 ? " …" : "."}`
  );
}

function pathsInWords() {
  const { paths, rows } = result;
  const all = totalPaths(rows);
  const total = `${readable(all)} path${all === 1n ? "" : "s"} in all`;
  if (!paths) {
    return `${total}; too many lags to count each one's here: paths_per_lag in Python does.`;
  }
  const seen = paths.filter((count) => count > 0);
  const fewest = seen.reduce((a, b) => (b < a ? b : a));
  const most = seen.reduce((a, b) => (b > a ? b : a));
  return fewest === most
    ? `${total}; ${readable(most)} to every sample seen.`
    : `${total}; to each sample seen at least ${readable(fewest)}, at most ${readable(most)}.`;
}

function stackInWords() {
  const { kernel_size, dilations, cycles, input_kernel_size } = result.values;
  const repeated = cycles > 1n ? `, ${cycles} times` : "";
  const input = input_kernel_size > 1n ? `, after an input kernel of ${input_kernel_size}` : "";
  return `kernel size ${kernel_size}, dilations ${compact(dilations)}${repeated}${input}`;
}

/** The command that prints the same, in pieces that stay on one line each. */
function commandLine() {
  const options = FIELDS.map(
    (field) => `--${field.replaceAll("_", "-")} ${compact(result.values[field])}`,
  );
  return ["wavedil rf", ...options].flatMap((piece) => {
    const span = document.createElement("span");
    span.textContent = piece;
    return [span, " "];
  });
}

const compact = (value) => String(value).replace(/\s/g, "");
const readable = (count) =>
  String(count).length > 30 ? `about ${short(count)}` : String(count);
const plural = (count, noun) => `${count} ${noun}${String(count) === "1" ? "" : "s"}`;

function writeAddress() {
  const state = FIELDS.map((field) => `${field}=${compact(result.values[field])}`).join("&");
  if (location.hash !== `#${state}`) history.replaceState(null, "", `#${state}`);
}

function setFields(address) {
  const state = new URLSearchParams(address.slice(1));
  for (const field of FIELDS) {
    if (state.has(field)) element(field).value = state.get(field);
  }
}

function start() {
  element("form").addEventListener("input", (event) => {
    lastEdited = event.target.id;
    update();
  });
  element("form").addEventListener("submit", (event) => event.preventDefault());
  element("lag").addEventListener("input", () => {
    element("lag").dataset.touched = "yes";
    draw();
  });
  addEventListener("hashchange", () => {
    setFields(location.hash);
    update();
  });
  addEventListener("resize", draw);
  const address = location.hash;
  update(); // with the values that the page was written with, so that there is a good result
  setFields(address);
  update();
}

start();
