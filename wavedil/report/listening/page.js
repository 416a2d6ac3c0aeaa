"use strict";
// Each sound plays from where its spectrogram is clicked; without this script its <audio> shows controls of its own.

const ARROW_SHARE = 1 / 20; // of the sound, an arrow
const players = [];

function startSound(figure) {
  const audio = figure.querySelector("audio");
  const picture = figure.querySelector(".picture");
  const cursor = figure.querySelector(".cursor");
  const readout = figure.querySelector(".readout");
  const button = figure.querySelector(".play");
  const seconds = Number(figure.dataset.seconds);
  const highestHz = Number(figure.dataset.highestHz);
  players.push(audio);

  function show() {
    const now = Math.min(audio.currentTime, seconds);
    cursor.style.left = `${(100 * now) / seconds}%`;
    picture.setAttribute("aria-valuenow", now.toFixed(3));
    picture.setAttribute("aria-valuetext", `${now.toFixed(2)} of ${seconds.toFixed(2)} seconds`);
  }
  function follow() {
    show();
    if (!audio.paused) requestAnimationFrame(follow);
  }
  function seek(to) {
    audio.currentTime = Math.min(Math.max(to, 0), seconds);
    show();
  }
  function play() {
    audio.play().catch((error) => {
      // A pause that comes before the sound has begun is no failure.
      if (error.name !== "AbortError") readout.textContent = `cannot be played here: ${error.message}`;
    });
  }
  function toggle() {
    if (audio.paused) play();
    else audio.pause();
  }
  function pointed(event) {
    const box = picture.getBoundingClientRect();
    const share = (at, from, size) => Math.min(Math.max((at - from) / size, 0), 1);
    return {
      seconds: seconds * share(event.clientX, box.left, box.width),
      hz: highestHz * (1 - share(event.clientY, box.top, box.height)),
    };
  }

  picture.addEventListener("pointermove", (event) => {
    const { seconds: at, hz } = pointed(event);
    readout.textContent = `${at.toFixed(3)} s, ${Math.round(hz)} Hz`;
  });
  picture.addEventListener("pointerleave", () => { readout.textContent = ""; });
  picture.addEventListener("click", (event) => {
    seek(pointed(event).seconds);
    play();
  });
  picture.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = ARROW_SHARE * seconds;
    const actions = {
      " ": toggle,
      ArrowLeft: () => seek(audio.currentTime - step),
      ArrowDown: () => seek(audio.currentTime - step),
      ArrowRight: () => seek(audio.currentTime + step),
      ArrowUp: () => seek(audio.currentTime + step),
      Home: () => seek(0),
      End: () => seek(seconds),
    };
    if (!(event.key in actions)) return;
    event.preventDefault(); // the page does not scroll
    actions[event.key]();
  });
  button.addEventListener("click", toggle);
  audio.addEventListener("play", () => {
    for (const other of players) if (other !== audio) other.pause();
    button.textContent = "❚❚";
    follow();
  });
  audio.addEventListener("pause", () => {
    button.textContent = "▶";
    show();
  });
  audio.addEventListener("seeked", show);
  audio.addEventListener("error", () => { readout.textContent = "this browser cannot decode the sound"; });
  show();
}

document.querySelectorAll(".sound").forEach(startSound);
document.documentElement.classList.add("scripted");
