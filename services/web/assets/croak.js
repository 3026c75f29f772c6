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
  const forms = { exact, day, ago, brief: (d) => `${day(d)} ${two(d.getHours())}:${two(d.getMinutes())}` };
  const tell = (form) => {
    for (const element of document.querySelectorAll(`time[data-form="${form}"]`)) {
      const date = new Date(element.dateTime);
      element.textContent = forms[form](date);
      element.title = exact(date);
    }
  };
  // Days of a chart are days in UTC: they stay as they are.
  for (const form of ["exact", "ago", "brief"]) tell(form);
  setInterval(() => tell("ago"), 15000);

  // Keyboard: j and k move, enter opens, / searches, other keys press the button that names them.
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
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && typing) return typing.blur();
    if (typing) return;
    if (event.key === "j") return move(1);
    if (event.key === "k") return move(-1);
    if (event.key === "/") {
      const box = document.querySelector('input[type="search"]');
      if (box) { event.preventDefault(); box.focus(); box.select(); }
      return;
    }
    const pressed = [...document.querySelectorAll("[data-key]")].find((element) => element.dataset.key === event.key);
    if (pressed && !(event.target.closest("pre") && event.key.startsWith("Arrow"))) pressed.click();
  });

  // A menu closes when something else is clicked.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.who[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
})();
