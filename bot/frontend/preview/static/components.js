// Buttons, menus and layouts of a message, in Discord's form: classical rows and Components V2.
import { el, fileUrl, size } from "./dom.js";
import { markdown } from "./markdown.js";
import { cover, picture, video } from "./media.js";

const BUTTONS = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link" };
const BRIEF = 9;
const ENTITIES = { 5: ["people"], 6: ["roles"], 7: ["people", "roles"], 8: ["channels"] };

export function components(list, context) {
  return list.map((item) => component(item, context)).filter(Boolean);
}

function component(item, context) {
  switch (item.type) {
    case 1: return el("div", { className: brief(item.components) ? "row brief" : "row" }, components(item.components, context));
    case 2: return button(item, context);
    case 3: case 5: case 6: case 7: case 8: return menu(item, context);
    case 9: return el("div", { className: "section" },
      el("div", {}, components(item.components, context)), component(item.accessory, context));
    case 10: return el("div", { className: "display" }, markdown(item.content, context.names));
    case 11: return el("div", { className: "thumbnail" }, media(item, context));
    case 12: return el("div", { className: "gallery", data: { count: item.items.length } },
      item.items.map((one) => media(one, context)));
    case 13: return file(item, context);
    case 14: return item.divider === false ? el("div", { className: "gap", data: { spacing: item.spacing } })
      : el("hr", { data: { spacing: item.spacing ?? 1 } });
    case 17: return container(item, context);
    default: return null;
  }
}

/** True if four buttons can stand side by side on a telephone. */
function brief(items) {
  return items.length === 4 && items.every((item) => item.type === 2 && !item.emoji && (item.label ?? "").length <= BRIEF);
}

function container(item, context) {
  const node = el("div", { className: "container" }, components(item.components, context));
  if (item.accent_color !== null && item.accent_color !== undefined) {
    node.style.borderLeftColor = `#${item.accent_color.toString(16).padStart(6, "0")}`;
  }
  return item.spoiler ? cover(node) : node;
}

function media(item, context) {
  const url = item.media.url;
  const alt = item.description ?? "";
  const shown = /^video\//.test(item.media.content_type ?? "") ? video(url, alt) : picture(url, alt, context);
  return item.spoiler ? cover(shown) : shown;
}

function file(item, context) {
  const url = item.file.url;
  return attachment({ url, filename: item.name ?? url.split("/").at(-1), size: item.size ?? 0 }, context);
}

/** A file to download. */
export function attachment(item) {
  return el("div", { className: "file" }, el("span", { className: "sign", "aria-hidden": "true" }, "📄"),
    el("div", {}, el("a", { href: fileUrl(item.url), download: item.filename }, item.filename),
      el("small", {}, size(item.size))));
}

function emoji(item) {
  return item.emoji?.name && !item.emoji.id ? el("span", { className: "emoji", "aria-hidden": "true" }, item.emoji.name) : null;
}

function button(item, context) {
  const style = BUTTONS[item.style] ?? "secondary";
  if (item.style === 5) {
    return el("a", { className: "button link", href: item.url, target: "_blank", rel: "noopener noreferrer" },
      emoji(item), item.label ?? "", " ↗");
  }
  const label = item.label ?? item.emoji?.name ?? "";
  const node = el("button", {
    type: "button", className: `button ${style}`, disabled: Boolean(item.disabled), data: { customId: item.custom_id },
    "aria-label": label,
  }, emoji(item), item.label ?? "");
  node.addEventListener("click", () => context.press(node, { kind: "click", custom_id: item.custom_id }));
  return node;
}

/** What a menu offers: pairs of value and label. */
export function offers(item, server) {
  if (item.type === 3) {
    return item.options.map((one) => ({
      value: one.value, chosen: Boolean(one.default),
      label: `${one.emoji?.name && !one.emoji.id ? `${one.emoji.name} ` : ""}${one.label}`, description: one.description,
    }));
  }
  const chosen = new Set((item.default_values ?? []).map((one) => one.id));
  return ENTITIES[item.type].flatMap((kind) => server[kind].map((one) => ({
    value: one.id, chosen: chosen.has(one.id), label: `${{ people: "@", roles: "@", channels: "#" }[kind]}${one.name}`,
  })));
}

/** A menu as a native list, or as boxes to tick where several may be chosen; `changed` gets the chosen values. */
export function chooser(item, server, label, changed) {
  const list = offers(item, server);
  const most = item.max_values ?? 1;
  if (most <= 1) {
    const node = el("select", { className: "menu", "aria-label": label, data: { customId: item.custom_id },
      disabled: Boolean(item.disabled) });
    const none = !list.some((one) => one.chosen);
    node.append(el("option", { value: "", selected: none, disabled: item.min_values !== 0, hidden: item.min_values !== 0 },
      item.placeholder ?? "Make a selection"));
    for (const one of list) {
      node.append(el("option", { value: one.value, selected: one.chosen },
        one.description ? `${one.label} – ${one.description}` : one.label));
    }
    node.addEventListener("change", () => changed(node.value ? [node.value] : [], node));
    return node;
  }
  const box = el("fieldset", { className: "boxes", data: { customId: item.custom_id }, disabled: Boolean(item.disabled) },
    el("legend", {}, label));
  for (const one of list) {
    box.append(el("label", {}, el("input", { type: "checkbox", value: one.value, checked: one.chosen }), ` ${one.label}`));
  }
  const values = () => [...box.querySelectorAll("input:checked")].map((input) => input.value);
  box.addEventListener("change", () => changed(values(), box));
  return box;
}

function menu(item, context) {
  const send = (values, node) => context.press(node, { kind: "select", custom_id: item.custom_id, values });
  const label = item.placeholder ?? "Make a selection";
  if ((item.max_values ?? 1) <= 1) return chooser(item, context.server, label, send);
  let values = offers(item, context.server).filter((one) => one.chosen).map((one) => one.value);
  const box = chooser(item, context.server, label, (chosen) => {
    values = chosen;
    ready.disabled = values.length < (item.min_values ?? 1) || values.length > item.max_values;
  });
  const ready = el("button", { type: "button", className: "button primary", disabled: true }, "Choose");
  ready.addEventListener("click", () => send(values, ready));
  box.append(ready);
  return box;
}
