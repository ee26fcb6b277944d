// Discord's markdown as nodes. Text never becomes HTML.
import { el } from "./dom.js";

const UNITS = [["second", 1], ["minute", 60], ["hour", 3600], ["day", 86400], ["month", 2629800], ["year", 31557600]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STYLES = {
  t: { timeStyle: "short" }, T: { timeStyle: "medium" }, d: { dateStyle: "short" }, D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" },
};

/** "in 5 seconds" for a time in seconds since 1970. */
export function relative(seconds) {
  const away = seconds - Date.now() / 1000;
  const [unit, length] = [...UNITS].reverse().find(([, s]) => Math.abs(away) >= s) ?? UNITS[0];
  return RELATIVE.format(Math.round(away / length), unit);
}

function time(seconds, style) {
  const date = new Date(seconds * 1000);
  const full = date.toLocaleString("en", STYLES.F);
  const text = style === "R" ? relative(seconds) : date.toLocaleString("en", STYLES[style] ?? STYLES.f);
  return el("time", { className: "stamp", dateTime: date.toISOString(), title: full, data: { style } }, text);
}

// All relative times on the page count on by themselves.
setInterval(() => {
  for (const node of document.querySelectorAll('time[data-style="R"]')) {
    const text = relative(Date.parse(node.dateTime) / 1000);
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

function link(url, ...inside) {
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...inside);
}

/** A link to a message, by which it comes into sight; the page follows it to another channel. */
function jump(channel, message, names) {
  const node = el("button", { type: "button", className: "mention jump", title: "Jump to the message" },
    `#${names.channel(channel)} › 💬`);
  node.addEventListener("click", () => dispatchEvent(new CustomEvent("jump", { detail: { channel, message } })));
  return node;
}

export function spoiler(...inside) {
  const node = el("button", { type: "button", className: "spoiler", "aria-label": "Spoiler: show it" },
    el("span", { "aria-hidden": "true" }, ...inside));
  node.addEventListener("click", (event) => {
    if (node.classList.contains("open")) return;
    event.preventDefault();
    node.classList.add("open");
    node.removeAttribute("aria-label");
    node.firstChild.removeAttribute("aria-hidden");
  });
  return node;
}

// Each rule: its expression at the current position, and the node that it makes. `names` finds people, roles, channels.
const INLINE = [
  [/\\([^\p{L}\p{N}\s])/uy, (m) => m[1]],
  [/``(.+?)``(?!`)|`([^`]+)`/sy, (m) => el("code", {}, m[1] ?? m[2])],
  [/<t:(-?\d{1,13})(?::([tTdDfFR]))?>/y, (m) => time(Number(m[1]), m[2] ?? "f")],
  [/<@!?(\d+)>/y, (m, names) => el("span", { className: "mention" }, `@${names.person(m[1])}`)],
  [/<@&(\d+)>/y, (m, names) => el("span", { className: "mention" }, `@${names.role(m[1])}`)],
  [/<#(\d+)>/y, (m, names) => el("span", { className: "mention" }, `#${names.channel(m[1])}`)],
  [/<\/([^:>]+):\d+>/y, (m) => el("span", { className: "mention" }, `/${m[1]}`)],
  [/<a?:(\w+):\d+>/y, (m) => `:${m[1]}:`],
  [/https:\/\/discord\.com\/channels\/\d+\/(\d+)\/(\d+)/y, (m, names) => jump(m[1], m[2], names)],
  [/<(https?:\/\/[^>\s]+)>/y, (m) => link(m[1], m[1])],
  [/\[([^\]\n]+)\]\(<?(https?:\/\/[^)>\s]+)>?\)/y, (m, names) => link(m[2], inline(m[1], names))],
  [/https?:\/\/[^\s<>]*[^\s<>.,:;!?'")\]]/y, (m) => link(m[0], m[0])],
  [/\|\|(.+?)\|\|/sy, (m, names) => spoiler(inline(m[1], names))],
  [/\*\*\*(.+?)\*\*\*(?!\*)/sy, (m, names) => el("strong", {}, el("em", {}, inline(m[1], names)))],
  [/\*\*(.+?)\*\*(?!\*)/sy, (m, names) => el("strong", {}, inline(m[1], names))],
  [/__(.+?)__(?!_)/sy, (m, names) => el("u", {}, inline(m[1], names))],
  [/~~(.+?)~~/sy, (m, names) => el("s", {}, inline(m[1], names))],
  [/\*(?=\S)(.+?)(?<=\S)\*(?!\*)/sy, (m, names) => el("em", {}, inline(m[1], names))],
  [/(?<![\p{L}\p{N}])_(?=\S)(.+?)(?<=\S)_(?![\p{L}\p{N}])/suy, (m, names) => el("em", {}, inline(m[1], names))],
];

// Text in which no rule can begin: it is taken at once.
const PLAIN = /(?:[^\\`<[|*_~h]|h(?!ttps?:))+/uy;

function inline(text, names) {
  const nodes = [];
  let plain = "";
  let at = 0;
  while (at < text.length) {
    PLAIN.lastIndex = at;
    const [run] = PLAIN.exec(text) ?? [""];
    plain += run;
    at += run.length;
    if (at === text.length) break;
    let found = null;
    for (const [rule, make] of INLINE) {
      rule.lastIndex = at;
      const match = rule.exec(text);
      if (match) {
        found = [match[0].length, make(match, names)];
        break;
      }
    }
    if (found === null) {
      const [letter] = text.slice(at, at + 2);
      plain += letter;
      at += letter.length;
    } else {
      if (plain) nodes.push(plain);
      plain = "";
      nodes.push(found[1]);
      at += found[0];
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

/** The first line of a text as nodes, for a quote. */
export function line(text, names) {
  return inline(text.split("\n")[0], names);
}

/** Text of a message, an embed or a text display, as nodes. */
export function markdown(text, names) {
  const out = [];
  const parts = text.split(/```(?:[\w+-]+\n)?([\s\S]+?)```/);
  parts.forEach((part, index) => {
    if (index % 2) out.push(el("pre", {}, el("code", {}, part.replace(/\n$/, ""))));
    else if (part) out.push(...blocks(index ? part.replace(/^\n/, "") : part, names));
  });
  return out;
}

function blocks(text, names) {
  const out = [];
  let lines = [];
  const flush = () => {
    if (lines.length) out.push(el("div", { className: "text" }, inline(lines.join("\n"), names)));
    lines = [];
  };
  let list = null;
  for (const line of text.split("\n")) {
    const head = /^(#{1,3}|-#) +(.+)$/.exec(line);
    const quote = /^> ?(.*)$/.exec(line);
    const item = /^(?: *)(?:[-*]|(\d+)\.) +(.+)$/.exec(line);
    if (!item) list = null;
    if (head) {
      flush();
      const level = head[1] === "-#" ? "small" : `h${head[1].length + 2}`;
      out.push(el(level, { className: head[1] === "-#" ? "subtext" : "" }, inline(head[2], names)));
    } else if (quote) {
      flush();
      const last = out.at(-1);
      if (last?.tagName === "BLOCKQUOTE") last.append("\n", ...inline(quote[1], names));
      else out.push(el("blockquote", {}, inline(quote[1], names)));
    } else if (item) {
      flush();
      if (list?.tagName !== (item[1] ? "OL" : "UL")) out.push(list = el(item[1] ? "ol" : "ul", item[1] && item[1] !== "1" ? { start: Number(item[1]) } : {}));
      list.append(el("li", {}, inline(item[2], names)));
    } else lines.push(line);
  }
  flush();
  return out;
}
