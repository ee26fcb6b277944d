// Menus on messages and people: the bot's own commands, by right click or the "…" button.
import * as api from "./api.js";
import { el } from "./dom.js";
import { failed, settle } from "./messages.js";

let open = null;

export function messageMenu(event, message) {
  show(event, async () => {
    const offered = (await api.commands()).menus.message;
    const items = offered.map((name) => [name, () => run({ kind: "menu", name, message: message.id }, message.id)]);
    if (message.content) items.push(["Copy text", () => navigator.clipboard.writeText(message.content)]);
    return items;
  });
}

export function userMenu(event, user) {
  show(event, async () => {
    const offered = (await api.commands()).menus.user;
    return offered.map((name) => [name, () => run({ kind: "menu", name, user }, null)]);
  });
}

async function run(action, id) {
  settle(await api.act(action), () => id && failed(id, "The application did not respond"));
}

async function show(event, offer) {
  event.preventDefault();
  event.stopPropagation();
  const from = document.activeElement === document.body ? event.currentTarget : document.activeElement;
  const box = event.currentTarget.getBoundingClientRect();
  const at = event.type === "contextmenu" && event.clientX ? { x: event.clientX, y: event.clientY } : { x: box.right, y: box.bottom };
  close();
  const items = await offer();
  if (!items.length) return;
  const menu = el("div", { className: "context", role: "menu", "aria-label": "Apps" });
  for (const [name, deed] of items) {
    menu.append(el("button", { type: "button", role: "menuitem", onclick: () => { close(); from?.focus?.({ preventScroll: true }); deed(); } }, name));
  }
  menu.addEventListener("keydown", (key) => {
    const all = [...menu.children], index = all.indexOf(document.activeElement);
    if (key.key === "ArrowDown") all[(index + 1) % all.length].focus();
    else if (key.key === "ArrowUp") all[(index - 1 + all.length) % all.length].focus();
    else if (key.key === "Escape" || key.key === "Tab") { close(); from?.focus?.({ preventScroll: true }); }
    else return;
    key.preventDefault();
  });
  document.body.append(menu);
  menu.style.left = `${Math.max(8, Math.min(at.x, innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(at.y, innerHeight - menu.offsetHeight - 8))}px`;
  open = menu;
  menu.firstChild.focus();
}

function close() {
  open?.remove();
  open = null;
}

addEventListener("pointerdown", (event) => { if (open && !open.contains(event.target)) close(); });
