// Everything here is a convenience: every page works without it.
(() => {
  "use strict";

  // Times in the viewer's zone; relative ones go on counting.
  const two = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const exact = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const day = (d) => `${two(d.getDate())} ${months[d.getMonth()]}`;
  const ago = (d) => {
    const s = Math.floor((Date.now() - d) / 1000);
    if (s < 5) return "now";
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ago`;
    if (s < 5184000) return `${Math.floor(s / 86400)} days ago`;
    if (s < 63072000) return `${Math.floor(s / 2592000)} months ago`;
    return `${Math.floor(s / 31536000)} years ago`;
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const forms = { exact, day, ago, brief: (d) => `${day(d)} ${two(d.getHours())}:${two(d.getMinutes())}` };
  const tell = (form) => {
    for (const element of document.querySelectorAll(`time[data-form="${form}"]`)) {
      const date = new Date(element.dateTime);
      element.textContent = forms[form](date);
      element.title = `${exact(date)} ${zone}`;
    }
  };
  // Days of a chart are days in UTC: they stay as they are.
  for (const form of ["exact", "ago", "brief"]) tell(form);
  setInterval(() => tell("ago"), 15000);

  // Keyboard: j and k move, enter opens, x ticks, / searches, other keys press the button that names them.
  const rows = [...document.querySelectorAll("tr[data-row]")];
  let at = -1;
  const move = (by) => {
    if (!rows.length) return;
    at = Math.min(rows.length - 1, Math.max(0, at + by));
    rows.forEach((row, index) => row.classList.toggle("chosen", index === at));
    const link = rows[at].querySelector("a.open");
    link.focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  };
  // What the keys of this page do.
  const help = () => {
    const told = document.querySelector("dialog.help");
    if (told) return told.open ? told.close() : told.showModal();
    const dialog = Object.assign(document.createElement("dialog"), { className: "help" });
    const keys = rows.length ? [["j", "next row"], ["k", "row before"], ["enter", "open"], ["x", "tick"]] : [];
    if (document.querySelector('input[type="search"]')) keys.push(["/", "search"]);
    for (const element of document.querySelectorAll("[data-key]")) {
      const label = element.getAttribute("aria-label") || document.querySelector(`label[for="${element.id}"]`)?.textContent || element.firstChild?.textContent;
      keys.push([element.dataset.key, (label || "").trim()]);
    }
    keys.push(["?", "this help"]);
    const list = document.createElement("dl");
    for (const [key, does] of keys) {
      const line = document.createElement("div");
      const term = document.createElement("dt");
      term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      line.append(term, Object.assign(document.createElement("dd"), { textContent: does }));
      list.append(line);
    }
    const title = Object.assign(document.createElement("h2"), { textContent: "Keys", id: "keys" });
    const close = Object.assign(document.createElement("button"), { textContent: "Close", type: "button" });
    close.addEventListener("click", () => dialog.close());
    dialog.setAttribute("aria-labelledby", title.id);
    dialog.append(title, list, close);
    document.body.append(dialog);
    dialog.showModal();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && typing) return typing.blur();
    if (typing) return;
    if (event.key === "j") return move(1);
    if (event.key === "k") return move(-1);
    if (event.key === "/") {
      const box = document.querySelector('input[type="search"]');
      if (box) { event.preventDefault(); box.focus(); box.select(); }
      return;
    }
    if (event.key === "?") return help();
    if (event.key === "Enter" && event.target.matches("tr .tick")) {
      event.preventDefault(); // or the form below would do what its first button says
      return event.target.closest("tr").querySelector("a.open").click();
    }
    if (event.key === "x") {
      const box = rows[at]?.querySelector(".tick");
      if (box) box.click();
      return;
    }
    const pressed = [...document.querySelectorAll("[data-key]")].find((element) => element.dataset.key === event.key);
    if (!pressed || (event.target.closest("pre") && event.key.startsWith("Arrow"))) return;
    // Below a list: what is ticked, or else the row that j and k have come to.
    if (pressed.closest("#bulk") && !document.querySelector(".tick:checked, #bulk [name=all]:checked")) {
      const box = rows[at]?.querySelector(".tick");
      if (!box) return;
      box.checked = true;
    }
    pressed.click();
    // A menu that was opened so is gone on with by keyboard, and the key is not typed into it.
    const first = pressed.matches("summary") ? pressed.parentElement.querySelector("select, input:not([type=hidden])") : pressed.matches("select") && pressed;
    if (first) { event.preventDefault(); first.focus(); }
  });

  // The search box offers how to go on: a combobox with a list below it.
  const box = document.querySelector("input[data-complete]");
  if (box) {
    const list = document.createElement("ul");
    list.id = "offers";
    list.className = "offers";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Ways to go on");
    list.hidden = true;
    box.after(list);
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"]]) box.setAttribute(name, value);
    let offered = { from: 0, offers: [] };
    let picked = -1;
    let asked = 0;
    let wait;
    const close = () => {
      list.hidden = true;
      picked = -1;
      box.setAttribute("aria-expanded", "false");
      box.removeAttribute("aria-activedescendant");
    };
    const point = (to) => {
      picked = to;
      [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === to)));
      if (to < 0) return box.removeAttribute("aria-activedescendant");
      box.setAttribute("aria-activedescendant", list.children[to].id);
      list.children[to].scrollIntoView({ block: "nearest" });
    };
    const take = (index) => {
      const text = offered.offers[index].text;
      const rest = box.value.slice(box.selectionStart);
      const goesOn = text.endsWith(":") || text.endsWith(".");
      const head = box.value.slice(0, offered.from) + text + (goesOn || rest.startsWith(" ") ? "" : " ");
      box.value = head + rest;
      box.setSelectionRange(head.length, head.length);
      close();
      if (goesOn) ask();
    };
    const ask = async () => {
      const mine = ++asked;
      const before = box.value.slice(0, box.selectionStart);
      let answer;
      try {
        const response = await fetch(`${box.dataset.complete}?query=${encodeURIComponent(before)}`);
        if (!response.ok) return close();
        answer = await response.json();
      } catch { return close(); }
      if (mine !== asked || document.activeElement !== box) return;
      offered = answer;
      list.replaceChildren(...offered.offers.map((offer, index) => {
        const item = document.createElement("li");
        item.id = `offer-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.append(offer.text);
        if (offer.hint) item.append(Object.assign(document.createElement("span"), { textContent: offer.hint }));
        return item;
      }));
      picked = -1;
      box.removeAttribute("aria-activedescendant");
      list.hidden = !offered.offers.length;
      box.setAttribute("aria-expanded", String(!list.hidden));
    };
    box.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(ask, 120); });
    box.addEventListener("blur", () => { clearTimeout(wait); asked++; close(); });
    list.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the box keeps the focus
      const item = event.target.closest("li");
      if (item) take([...list.children].indexOf(item));
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" && list.hidden) { event.preventDefault(); return ask(); }
      if (list.hidden) return;
      const count = list.children.length;
      if (event.key === "ArrowDown") point((picked + 1) % count);
      else if (event.key === "ArrowUp") point(picked > 0 ? picked - 1 : count - 1);
      else if (event.key === "Escape") { close(); event.stopPropagation(); }
      else if ((event.key === "Enter" || event.key === "Tab") && picked >= 0) take(picked);
      else return;
      event.preventDefault();
    });
  }

  // A list hears of new groups. They are announced, and the rows stay where they are; an empty page turns into the list.
  const news = document.querySelector("[data-live]");
  if (news) {
    const since = Number(new URL(news.dataset.live, location).searchParams.get("since"));
    let looking = false;
    let missed = false;
    const announce = (page) => {
      const shown = new Set(rows.map((row) => row.dataset.row));
      const others = [...page.querySelectorAll("tr[data-row]")].filter((row) => !shown.has(row.dataset.row));
      const fresh = others.filter((row) => Number(row.dataset.row) > since).length;
      const back = others.filter((row) => Number(row.dataset.row) <= since && row.classList.contains("back")).length;
      const told = [];
      if (fresh) told.push(fresh === 1 ? "1 new group" : `${fresh} new groups`);
      if (back) told.push(`${back} came back`);
      const text = told.join(", ");
      if (news.textContent === text) return;
      news.replaceChildren();
      if (!text) return;
      const link = document.createElement("a");
      link.href = location.href;
      link.textContent = text;
      news.append(link);
    };
    const look = async () => {
      if (looking || document.hidden) return void (missed = true);
      looking = true;
      missed = false;
      try {
        const response = await fetch(location.href);
        if (response.ok) {
          const page = new DOMParser().parseFromString(await response.text(), "text/html");
          if (!("turns" in news.dataset)) announce(page);
          else if (!page.querySelector("[data-turns]")) location.reload();
        }
      } catch { /* the next event or the next look finds it */ }
      looking = false;
      if (missed) setTimeout(look, 2000);
    };
    let asking;
    const ask = (every) => { clearInterval(asking); asking = setInterval(look, every); };
    let source;
    let later;
    const listen = () => {
      source = new EventSource(news.dataset.live);
      source.addEventListener("groups", (event) => {
        if (!JSON.parse(event.data).fresh.length) return;
        // Not all pages at the same moment; and once more when what lay ready at the first look is too old to be shown.
        setTimeout(look, Math.random() * 500);
        clearTimeout(later);
        later = setTimeout(look, 2000 + Math.random() * 500);
      });
      source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) ask(15000); });
    };
    // A browser has six connections to a server for all its tabs: those that nobody looks at give theirs back.
    const attend = () => {
      source?.close();
      if (document.hidden) return;
      if (window.EventSource) listen();
      if (missed) look();
    };
    document.addEventListener("visibilitychange", attend);
    attend();
    // Of what comes back nobody is told by the stream.
    ask(window.EventSource ? 30000 : 15000);
  }

  // A text that is for elsewhere goes to the clipboard; without one the link leads to it.
  for (const link of document.querySelectorAll("a[data-copies]")) {
    if (!navigator.clipboard) break;
    const named = link.textContent;
    link.textContent = `Copy as ${named}`;
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      try {
        const response = await fetch(link.href);
        if (!response.ok || response.redirected) throw new Error();
        await navigator.clipboard.writeText(await response.text());
        link.textContent = "Copied";
        setTimeout(() => { link.textContent = `Copy as ${named}`; }, 2000);
      } catch { location.href = link.href; }
    });
  }

  // A change of many groups says how far it is; the rows stay what they were when the page came.
  const note = document.querySelector("[data-goes-on]");
  if (note) {
    const look = async () => {
      if (!document.hidden) {
        try {
          const response = await fetch(location.href);
          const now = new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".told.undo");
          if (response.ok && !now) return; // nobody is signed in any more
          if (now && !("goesOn" in now.dataset)) return note.replaceWith(now);
          if (now) note.querySelector("p").firstChild.replaceWith(now.querySelector("p").firstChild);
        } catch { /* the next look finds it */ }
      }
      setTimeout(look, 2000);
    };
    setTimeout(look, 2000);
  }

  // A comment that was not taken, or for which one had to sign in again first, is in its box again.
  for (const area of document.querySelectorAll("textarea[name=body]")) {
    const kept = `comment ${area.form.action} ${area.id}`;
    const text = sessionStorage.getItem(kept);
    if (text && !document.querySelector(".told.good")) area.value = text;
    sessionStorage.removeItem(kept);
    area.form.addEventListener("submit", () => sessionStorage.setItem(kept, area.value));
  }

  // A menu closes when something else is clicked.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.who[open], details.more[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
})();
