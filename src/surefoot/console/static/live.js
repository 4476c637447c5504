/* Keeps a page true while it is looked at. The stream says that something has changed, and nothing else; the
   page is then fetched again by its own address, and its parts are put in place. Without this file, or without
   scripts, a page is as true as its last load. */
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  if (!live || !window.htmx || !window.EventSource) return;

  const PAUSE = 400; // milliseconds between two fetches: a busy store must not keep the browser busy
  const SHARE = 5; // and a page that takes long to make is fetched less often: a fifth of the time at most
  const STALE = 30000; // "2 min ago" grows old by itself
  let due = 0;
  let next = 0;
  let isOld = false;

  function refresh() {
    const began = Date.now();
    isOld = false;
    const ended = () => {
      due = 0;
      next = Math.max(began + PAUSE, Date.now() + (Date.now() - began) * SHARE);
      if (isOld) soon();
    };
    htmx.ajax("GET", location.pathname + location.search, { source: live, swap: "none" }).then(ended, ended);
  }

  /* What happens while a fetch is due or under way is fetched after it. */
  function soon() {
    if (due) isOld = true;
    else due = setTimeout(refresh, Math.max(0, next - Date.now()));
  }

  /* What somebody is typing, or has unfolded a form to type, is not taken from under their hands. */
  function isInUse(part) {
    const focus = document.activeElement;
    const typing = focus && part.contains(focus) && focus.matches("input, textarea, select");
    return typing || part.querySelector("details.act[open]") !== null;
  }

  let focused = null;
  document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
    const part = event.detail.target;
    if (isInUse(part)) {
      event.detail.shouldSwap = false;
      return;
    }
    for (const open of part.querySelectorAll("details[id][open]")) {
      const same = event.detail.fragment.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = true;
    }
    const focus = document.activeElement;
    focused = focus && part.contains(focus) && focus.matches("a[href]") ? focus.getAttribute("href") : null;
  });
  document.body.addEventListener("htmx:oobAfterSwap", () => {
    if (focused === null) return;
    const same = document.querySelector('a[href="' + CSS.escape(focused) + '"]');
    if (same) same.focus({ preventScroll: true });
    focused = null;
  });

  /* A page that nobody sees holds no connection (a browser has few for one host); it is told what it missed. */
  const place = new URL(live.dataset.stream, location.href);
  let stream = null;
  let warning = 0;

  function isWell() {
    clearTimeout(warning);
    warning = 0;
    lost.hidden = true;
  }

  function listen() {
    if (stream) return;
    stream = new EventSource(place);
    stream.addEventListener("open", isWell);
    stream.addEventListener("change", (event) => {
      place.searchParams.set("at", event.lastEventId);
      soon();
    });
    stream.addEventListener("error", () => {
      if (!warning) warning = setTimeout(() => { lost.hidden = false; }, 3000);
    });
  }

  function rest() {
    if (stream) stream.close();
    stream = null;
    isWell();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", listen);
  setInterval(() => { if (!document.hidden) soon(); }, STALE);
  listen();
})();
