// @ts-check
/** Making and finding elements, and putting numbers and sentences into words. Knows no route and keeps nothing. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page lacks #${id}`);
  }
  return found;
}

/**
 * Make an element with text and children.
 * @param {string} name
 * @param {{text?: string, className?: string}} [is]
 * @param {...Node} children
 */
export function make(name, is = {}, ...children) {
  const made = document.createElement(name);
  if (is.className) {
    made.className = is.className;
  }
  if (is.text !== undefined) {
    made.textContent = is.text;
  }
  made.append(...children);
  return made;
}

/** @param {string} label @param {() => void} act @param {string} [about] what it acts on, for those who don't see it */
export function button(label, act, about) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain-button";
  made.textContent = label;
  if (about) {
    made.setAttribute("aria-label", `${label}: ${about}`);
  }
  made.addEventListener("click", act);
  return made;
}

/** Join what failed and what to do. @param {...string} parts */
export function sentences(...parts) {
  return parts
    .filter(Boolean)
    // A name at the beginning stays as it is: it may be a file's.
    .map((text) => (/^[a-z]+ /.test(text) ? `${text[0].toUpperCase()}${text.slice(1)}` : text))
    .map((text) => (/[.!?]$/.test(text) ? text : `${text}.`))
    .join(" ");
}

/** @param {number} n @param {string} one @param {string} [many] */
export function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

/** @param {string} text */
export function say(text) {
  part("said", HTMLElement).textContent = text;
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes < 100_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** @param {string | null} moment */
export function when(moment) {
  return moment ? new Date(moment).toLocaleString() : "";
}

/** @param {string} name */
export function words(name) {
  return name.replace(/^n_/, "").replaceAll("_", " ");
}

/**
 * Ask in a dialog that keeps the focus; Escape means no.
 * @param {string} title @param {string} text @returns {Promise<boolean>}
 */
export function confirmed(title, text) {
  const dialog = part("confirm", HTMLDialogElement);
  part("confirm-title", HTMLElement).textContent = title;
  part("confirm-text", HTMLElement).textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  part("confirm-no", HTMLButtonElement).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
