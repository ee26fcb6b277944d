// Pictures, films, and the view of a picture in large.
import { el, fileUrl } from "./dom.js";

/** A picture that opens large. Its `context.group` are all pictures of the same message. */
export function picture(url, alt, context) {
  const image = el("img", { src: fileUrl(url), alt, decoding: "async", draggable: false });
  const button = el("button", { type: "button", className: "picture", title: alt, "aria-label": alt ? `Open large: ${alt}` : "Open large" }, image);
  button.addEventListener("click", () => large(button));
  return button;
}

export function video(url, alt) {
  return el("video", { src: fileUrl(url), controls: true, loop: true, muted: true, autoplay: true, playsInline: true,
    "aria-label": alt || "Film" });
}

/** Cover something until it is clicked. */
export function cover(inside) {
  const button = el("button", { type: "button", className: "reveal" }, "Spoiler");
  const node = el("div", { className: "covered" }, inside, button);
  inside.inert = true;
  button.addEventListener("click", () => {
    inside.inert = false;
    node.classList.add("open");
    button.remove();
    (inside.matches("button, a, video") ? inside : inside.querySelector("button, a, video"))?.focus();
  });
  return node;
}

function large(button) {
  const message = button.closest("li.message");
  const group = [...(message?.querySelectorAll(".picture") ?? [button])].filter((one) => !one.inert);
  let at = group.indexOf(button);
  const image = el("img", {});
  const original = el("a", { target: "_blank", rel: "noopener" }, "Open in a tab");
  const save = el("a", {}, "Save");
  const step = (by) => el("button", { type: "button", className: "step", "aria-label": by < 0 ? "Previous picture" : "Next picture",
    onclick: (event) => { event.stopPropagation(); show(at + by); } }, by < 0 ? "‹" : "›");
  const close = el("button", { type: "button", className: "close", "aria-label": "Close" }, "✕");
  const dialog = el("dialog", { className: "large", "aria-label": "Picture" }, close,
    el("figure", {}, group.length > 1 ? step(-1) : null, image, group.length > 1 ? step(1) : null),
    el("p", {}, original, " · ", save));
  const show = (index) => {
    at = (index + group.length) % group.length;
    const shown = group[at].querySelector("img");
    Object.assign(image, { src: shown.src, alt: shown.alt });
    original.href = save.href = shown.src;
    save.download = decodeURIComponent(shown.src.split("/").at(-1));
  };
  dialog.addEventListener("click", (event) => { if (!event.target.closest("img, a, .step")) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
  dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
  document.body.append(dialog);
  show(at);
  dialog.showModal();
}
