// The list of suggestions above the prompt field, used by keyboard and mouse.
import { byId, el } from "./dom.js";

const list = byId("popup");
let items = [], active = -1, owner = null, closing = 0, moved = false;

/** Show suggestions for an input; each item has `title`, `extra`, `text` and `pick()`. `first`: the first is active. */
export function openPopup(input, offered, { first = false, empty = "" } = {}) {
  clearTimeout(closing);
  const shown = owner === input && !list.hidden && items.length > 0 && alike(items, offered);
  owner = input;
  items = offered;
  active = first && items.length ? 0 : -1;
  if (!shown) draw(empty);
  list.hidden = !list.children.length;
  input.setAttribute("aria-controls", "popup");
  input.setAttribute("aria-expanded", String(!list.hidden));
  if (moved) list.scrollTop = 0;  // Only then, since it makes the browser lay out the page at once.
  moved = false;
  mark();
}
list.addEventListener("scroll", () => { moved = true; });

/** True if two lists look the same, as they often do after another letter. */
function alike(some, others) {
  return some.length === others.length && some.every((one, index) =>
    ["title", "extra", "text"].every((part) => one[part] === others[index][part]));
}

function draw(empty) {
  list.replaceChildren(...items.map((item, index) => el("li", { id: `suggestion-${index}`, role: "option",
    onpointerdown: (event) => event.preventDefault(), onclick: () => choose(index) },
    el("span", { className: "title" }, item.title), item.extra ? el("span", { className: "extra" }, item.extra) : null,
    item.text ? el("span", { className: "text" }, item.text) : null)));
  if (!items.length && empty) list.append(el("li", { className: "empty" }, empty));
}

function mark() {
  [...list.children].forEach((node, index) => node.setAttribute("aria-selected", String(index === active)));
  if (active < 0) owner.removeAttribute("aria-activedescendant");
  else owner.setAttribute("aria-activedescendant", `suggestion-${active}`);
}

function choose(index) {
  const item = items[index];
  popup.close();
  item.pick();
}

export const popup = {
  get open() { return !list.hidden; },
  close() {
    clearTimeout(closing);
    owner?.removeAttribute("aria-activedescendant");
    owner?.setAttribute("aria-expanded", "false");
    list.hidden = true;
    list.replaceChildren();
    items = [];
  },
  closeSoon() { closing = setTimeout(() => popup.close(), 150); },
  /** Handle a key of the input; true if it was one of the list's. */
  key(event) {
    if (list.hidden || !items.length) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      active = (active + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
      if (active < 0) active = items.length - 1;
      mark();
      list.children[active].scrollIntoView({ block: "nearest" });
      moved = true;
    } else if ((event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) && active >= 0) choose(active);
    else if (event.key === "Escape") popup.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  },
};
