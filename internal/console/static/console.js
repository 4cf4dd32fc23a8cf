"use strict";
// The live page renews itself by a stream of the console (server-sent events). All windows of a browser share one
// stream, which this file holds when it runs as their worker: a browser has six connections to a console, and a stream
// takes one. While every window is hidden there is none.

// stream holds a stream of frames in a language while it is wanted. told is called with what has changed, and broken with
// whether the console does not answer.
function stream(language, told, broken) {
  let source = null;
  let again = 0;
  function open() {
    source = new EventSource("/events?lang=" + language);
    source.addEventListener("frame", (e) => {
      broken(false);
      told(JSON.parse(e.data));
    });
    source.onerror = () => {
      broken(true);
      if (source && source.readyState === EventSource.CLOSED) { // it was refused, and is not tried again by itself
        source = null;
        again = setTimeout(open, 2000);
      }
    };
  }
  return (wanted) => {
    clearTimeout(again);
    if (wanted && !source) {
      open();
    } else if (!wanted && source) {
      source.close();
      source = null;
    }
  };
}

// worker shares one stream among the windows that are connected to it. A window that says nothing for longer than a
// minute is gone, though it did not say so.
function worker(scope) {
  const windows = new Map(); // ports: when they were heard, and whether they are seen
  let regions = {}; // as they are, for windows that come later
  let isBroken = false;
  const all = (message) => windows.forEach((w, port) => w.seen && port.postMessage(message));
  const want = stream(
    scope.name, // which is the language of its windows
    (changed) => {
      Object.assign(regions, changed);
      all({ changed });
    },
    (now) => {
      if (now !== isBroken) {
        isBroken = now;
        all({ broken: now });
      }
    },
  );
  function look() {
    const now = Date.now();
    windows.forEach((w, port) => now - w.heard > 60000 && windows.delete(port));
    const wanted = [...windows.values()].some((w) => w.seen);
    if (!wanted) {
      regions = {};
    }
    want(wanted);
  }
  setInterval(look, 10000);
  scope.onconnect = (e) => {
    const port = e.ports[0];
    port.onmessage = (m) => {
      const before = windows.get(port);
      if (m.data.gone) {
        windows.delete(port);
      } else {
        windows.set(port, { heard: Date.now(), seen: m.data.seen });
        if (m.data.seen && !(before && before.seen)) {
          port.postMessage({ changed: regions, broken: isBroken });
        }
      }
      look();
    };
  };
}

// patch makes an element what another one is, and leaves alone what is the same: the focus stays where it is.
function patch(old, now) {
  if (old.isEqualNode(now)) {
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name)) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of now.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  patchChildren(old, now);
}

// patchChildren does so with what is in an element. Elements that have a key are found by it, the others by their place.
function patchChildren(old, now) {
  const keyed = new Map();
  for (const child of old.children) {
    if (child.dataset.key) {
      keyed.set(child.dataset.key, child);
    }
  }
  let at = old.firstChild;
  for (const wanted of [...now.childNodes]) {
    const key = wanted.dataset && wanted.dataset.key;
    const found = key ? keyed.get(key) : at;
    const same = found && found.nodeName === wanted.nodeName && (key || !(found.dataset && found.dataset.key));
    if (!same) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (found === at) {
      at = at.nextSibling;
    } else {
      old.insertBefore(found, at);
    }
    keyed.delete(key);
    if (found.nodeType === Node.ELEMENT_NODE) {
      patch(found, wanted);
    } else if (found.nodeValue !== wanted.nodeValue) {
      found.nodeValue = wanted.nodeValue;
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// show shows the regions that have changed, as the console has made them: the same markup that the page came with.
function show(changed) {
  for (const [name, text] of Object.entries(changed)) {
    const region = document.getElementById(name);
    if (region && region.hasAttribute("data-region")) {
      const now = document.createElement(region.tagName);
      now.innerHTML = text; // of the console's own templates, in which what others said is text
      patchChildren(region, now);
    }
  }
}

// showBroken says that the console does not answer, and of when what is seen is.
function showBroken(isBroken) {
  const note = document.getElementById("silent");
  if (isBroken && note.hidden) {
    note.querySelector("time").textContent = document.querySelector("#asof time").textContent;
  }
  note.hidden = !isBroken;
  document.body.classList.toggle("past", isBroken);
}

// stay has a form be sent without leaving the page: what it did is seen as the page renews itself. What was refused is
// shown as the page that it is.
function stay(form) {
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const body = new URLSearchParams(new FormData(form, e.submitter));
    const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
    if (!answer) {
      showBroken(true);
      return;
    }
    const now = new DOMParser().parseFromString(await answer.text(), "text/html");
    const note = now.querySelector(answer.ok ? "[role=status].note" : "main > .problem");
    const said = document.getElementById("said");
    said.replaceChildren(...(note ? note.childNodes : []));
    said.classList.toggle("problem", !answer.ok);
  });
}

// live has the page renew itself while it is seen.
function live() {
  const isSeen = () => document.visibilityState === "visible";
  const language = document.documentElement.lang;
  let say;
  if (window.SharedWorker) {
    const { port } = new SharedWorker("/static/console.js", language);
    port.onmessage = ({ data }) => {
      if (data.changed) {
        show(data.changed);
      }
      if ("broken" in data) {
        showBroken(data.broken);
      }
    };
    say = (gone) => port.postMessage({ gone, seen: isSeen() });
  } else {
    const want = stream(language, show, showBroken);
    say = (gone) => want(!gone && isSeen());
  }
  say(false);
  setInterval(() => say(false), 20000);
  document.addEventListener("visibilitychange", () => say(false));
  window.addEventListener("pagehide", () => say(true));
  window.addEventListener("pageshow", (e) => e.persisted && say(false));
}

if (typeof document === "undefined") {
  worker(self);
} else if (document.querySelector("[data-region]")) {
  live();
  document.querySelectorAll("form[data-stay]").forEach(stay);
}
