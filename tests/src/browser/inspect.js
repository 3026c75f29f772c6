// Run inside a page. Answers what is wrong with it, as texts.
const faults = [];

// Content wider than the window makes the reader scroll to both sides.
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1);
  const deepest = wide.filter((e) => !wide.some((other) => other !== e && e.contains(other)));
  faults.push(`scrolls to the side: ${root.scrollWidth} > ${root.clientWidth}, because of ${deepest.slice(0, 3).map(name).join(", ")}`);
}

// WCAG 2.2 AA: 4.5, or 3 for large text.
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const paint = canvas.getContext("2d", { willReadFrequently: true });
const known = new Map();

function colour(css) {
  if (!known.has(css)) {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = css;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    known.set(css, [r, g, b, a / 255]);
  }
  return known.get(css);
}

function over(front, back) {
  return [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
}

function ground(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const background = colour(getComputedStyle(e).backgroundColor);
    layers.push(background);
    if (background[3] === 1) break;
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(root).colorScheme.includes("dark");
  return layers.reverse().reduce((back, front) => over(front, back), dark ? [18, 18, 18] : [255, 255, 255]);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function name(element) {
  return element.tagName.toLowerCase() + [...element.classList].map((c) => "." + c).join("");
}

function is_shown(element) {
  const box = element.getBoundingClientRect();
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && box.width > 1 && box.height > 1;
}

const pale = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "TITLE", "DESC"].includes(element.tagName.toUpperCase())) continue;
  // What cannot be used, and what is only decoration, may be pale.
  if (element.closest(":disabled, [aria-disabled=true], [aria-hidden=true]") || !is_shown(element)) continue;
  const style = getComputedStyle(element);
  const back = ground(element);
  let front = [...colour(element instanceof SVGElement ? style.fill : style.color)];
  for (let e = element; e; e = e.parentElement) front[3] *= Number(getComputedStyle(e).opacity);
  const [light, dark] = [luminance(over(front, back)), luminance(back)].sort((a, b) => b - a);
  const ratio = (light + 0.05) / (dark + 0.05);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  if (ratio < needed) pale.add(`contrast ${ratio.toFixed(2)} < ${needed} in ${name(element)}: "${texts.currentNode.data.trim().slice(0, 40)}"`);
}
faults.push(...pale);

// What a screen reader needs first.
const headings = document.querySelectorAll("h1").length;
if (headings !== 1) faults.push(`${headings} <h1>`);
if (!document.querySelector("main")) faults.push("no <main>");
for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!control.labels.length && !control.ariaLabel) faults.push(`no label on ${name(control)} ${control.name}`);
}
for (const control of document.querySelectorAll("button, a[href]")) {
  if (is_shown(control) && !control.textContent.trim() && !control.ariaLabel && !control.querySelector("img[alt]:not([alt=''])")) faults.push(`no name on ${name(control)}`);
}

return faults;
