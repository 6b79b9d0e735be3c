// @ts-check
/**
 * The page where a site owner chooses options: keeps the live box and the lines to copy in step with the form.
 * Licence: Apache-2.0. Sends nothing and stores nothing.
 */

/** @template {Element} T @param {string} id @param {new () => T} kind @returns {T} */
const byId = (id, kind) => {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is missing`);
  return found;
};

const form = byId("options", HTMLFormElement);
const preview = byId("preview", HTMLElement);
const snippet = byId("snippet", HTMLElement);
const button = byId("copy-button", HTMLButtonElement);
const copied = byId("copied", HTMLElement);
const original = snippet.textContent ?? "";
const written = preview.getAttribute("endpoint") ?? "";
// The server may stand behind a proxy and not know the address that it is seen under.
const origin = location.origin;

/** Words of the form for visitors without JavaScript, by the language that is chosen. @type {Record<string, string[]>} */
const FORM_WORDS = { en: ["Your question", "Find the passages"], es: ["Su pregunta", "Buscar los pasajes"] };

/** @param {string} text */
const escape = (text) =>
  text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** @returns {[string, string][]} the box's attributes as chosen, in the order they are written */
const chosen = () => {
  const fields = new FormData(form);
  const text = (/** @type {string} */ name) => String(fields.get(name) ?? "");
  const kind = text("source_type");
  /** @type {[string, string | null][]} */
  const attributes = [
    ["endpoint", origin],
    ["top-k", text("top-k")],
    ["filters", kind && JSON.stringify({ source_type: [kind] })],
    ["lang", text("lang")],
    ["theme", text("theme")],
    ["placeholder", text("placeholder").trim()],
    ["quick-exit", fields.has("quick-exit") ? "" : null],
  ];
  return attributes.flatMap(([name, value]) =>
    value || (value === "" && name === "quick-exit") ? [/** @type {[string, string]} */ ([name, value])] : []
  );
};

const show = () => {
  const attributes = chosen();
  for (const name of ["top-k", "filters", "lang", "theme", "placeholder", "quick-exit"]) {
    const value = attributes.find(([other]) => other === name)?.[1];
    if (value === undefined) preview.removeAttribute(name);
    else if (preview.getAttribute(name) !== value) preview.setAttribute(name, value);
  }
  if (!preview.hasAttribute("lang")) preview.setAttribute("lang", document.documentElement.lang);
  const tag = attributes.map(([name, value]) => (value ? `${name}="${escape(value)}"` : name)).join(" ");
  const words = FORM_WORDS[preview.lang] ?? FORM_WORDS.en;
  snippet.textContent = original
    .replaceAll(written, origin)
    .replace(/(<label>).*(?= <input)/, `$1${words[0]}`)
    .replace(/(<button>).*(?=<\/button>)/, `$1${words[1]}`)
    .replace(/<citewell-search [^>]*>/, () => `<citewell-search ${tag}>`);
  copied.textContent = "";
};

const copy = async () => {
  try {
    await navigator.clipboard.writeText(snippet.textContent ?? "");
    copied.textContent = "Copied";
  } catch {
    // No clipboard on http or without permission: leave the lines selected, ready for the keyboard.
    getSelection()?.selectAllChildren(snippet);
    copied.textContent = "Selected: copy with your keyboard";
  }
};

preview.setAttribute("endpoint", origin);
form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
button.addEventListener("click", copy);
byId("unscripted", HTMLElement).hidden = true;
button.hidden = form.hidden = byId("live", HTMLElement).hidden = false;
show();
