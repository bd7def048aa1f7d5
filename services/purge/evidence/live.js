// Puts what has changed into the page, as the server has rendered it. Without this script the page is as of its request.
"use strict";

const badge = document.getElementById("live");
const AGAIN = 30000; // milliseconds after which a server that was full is asked again
let events = null;

function say(state) {
  badge.textContent = state ? ` · ${badge.dataset[state]}` : "";
  badge.className = state;
}

function put(name, html) {
  const place = document.getElementById(name);
  if (place === null) return;
  const open = Array.from(place.querySelectorAll("details[open]"), (details) => details.id);
  place.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
}

function follow() {
  if (document.hidden || events !== null) return;
  const own = (events = new EventSource("/evidence/live"));
  own.onopen = () => say("live");
  own.onmessage = (message) => Object.entries(JSON.parse(message.data)).forEach(([name, html]) => put(name, html));
  own.onerror = () => {
    // Closed for good: the server refused, since it has as many readers as it takes. Otherwise the browser tries again.
    const refused = own.readyState === EventSource.CLOSED;
    say(refused ? "full" : "lost");
    if (!refused) return;
    events = null;
    setTimeout(follow, AGAIN);
  };
}

// A tab that nobody looks at keeps no place from somebody who does.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && events !== null) {
    events.close();
    events = null;
    say("");
  }
  follow();
});
follow();
