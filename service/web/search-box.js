// @ts-check One file, as sites load one.
/**
 * `<citewell-search endpoint="https://...">`, see search-box.md. Licence: Apache-2.0.
 *
 * Stores nothing, calls its endpoint alone, makes text nodes of all text. Defaults give parameters their types.
 */

/** @typedef {Record<string, any>} Json from outside: any field may be missing */

const OPTIONS = ["endpoint", "filters", "top-k", "timeout"];
const LOOKS = ["lang", "label", "placeholder", "theme", "quick-exit", "heading-level"];
const NEUTRAL = "https://www.wikipedia.org/";
const WEB = /^https?:$/;

/** Wording by language; `{x}` is filled in. @type {Record<string, Json>} */
const STRINGS = {
  en: {
    label: "Your question, in your own words",
    submit: "Find the passages",
    stop: "Stop",
    busy: "Looking in the library …",
    one: "1 passage from the library",
    many: "{x} passages from the library",
    marked: "Quoted word for word. The marked words come closest to an answer.",
    understood: "Understood {x}",
    off_topic: "This library does not speak about that",
    not_answered: "Nothing in this library answers that",
    filters_match_nothing: "No document here is of the chosen kind",
    no_index: "Nothing can be quoted just now",
    language_not_supported: "This language is not understood here",
    advice: "Try other words, or ask one thing at a time. A doctor, a pharmacist or a helpline can say more.",
    notReady: "Try again later.",
    askIn: "Please ask in {x}.",
    nearest: "Not an answer, only the closest passages",
    nearestWhy: "They share words with the question and were not found to answer it.",
    note: "Before you read:",
    pages: "Page {x}",
    publisher: "Publisher",
    authors: "By",
    kind: "Kind of source",
    published: "Published",
    reviewed: "Reviewed",
    funding: "Paid for by",
    disclosure: "Interests",
    kinds: {
      government: "Government",
      peer_reviewed: "Peer-reviewed research",
      health_service: "Health service",
      charity: "Charity",
      treatment_provider: "Treatment provider",
      news: "News",
      personal: "Personal account",
      other: "Other",
    },
    beware: "Keep in mind",
    flags: {
      undated: "No date given",
      old: "More than ten years old",
      review_overdue: "Its review is overdue: it may be out of date",
      commercial: "Published by a company that sells treatment",
      personal_testimony: "One person’s experience",
    },
    source: "Open in the source",
    permalink: "Read it in the document",
    copy: "Copy with citation",
    copied: "Copied",
    copyByHand: "Copy this text:",
    also: "Nearly the same words stand in:",
    exit: "Leave this page now",
    exitMore: "To leave this page, press Escape {x} more",
    retry: "Ask again",
    ready: "You can ask again now.",
    reference: "For whoever runs the library: {x}",
    errors: {
      empty: ["There is no question yet", "Type your question, then ask."],
      csp: ["This page may not ask the library", "For the site’s owner: allow {x} in connect-src of the page’s Content-Security-Policy."],
      cors: ["The library takes no questions from this site", "For the site’s owner: the library’s setting cors_origins must list {x}."],
      offline: ["You seem to be offline", "Your question is still here. Ask again when you are connected."],
      unreachable: ["The library can’t be reached", "Your question is still here. Try again in a moment."],
      timeout: ["The library takes too long", "Your question is still here. Try again in a moment."],
      limited: ["Too many questions at once", "You can ask again in {x}."],
      server: ["Something failed in the library", "It was not your question. Try again in a moment."],
      refused: ["The library can’t take this question", "Ask in other words, or more briefly."],
      wrong: ["This is not an answer from a library", "For the site’s owner: {x} does not answer like a Citewell server."],
      endpoint: ["This search box is not set up", "For the site’s owner: the attribute endpoint must be the address of a Citewell server."],
      mixed: ["This search box is not set up", "For the site’s owner: a page on https can only ask an https endpoint."],
      filters: ["This search box is not set up", "For the site’s owner: the attribute filters can’t be read."],
    },
  },
  es: {
    label: "Su pregunta, con sus propias palabras",
    submit: "Buscar los pasajes",
    stop: "Detener",
    busy: "Buscando en la biblioteca …",
    one: "1 pasaje de la biblioteca",
    many: "{x} pasajes de la biblioteca",
    marked: "Citado palabra por palabra. Lo marcado es lo más cercano a una respuesta.",
    understood: "Entendido {x}",
    off_topic: "Esta biblioteca no habla de eso",
    not_answered: "Nada en esta biblioteca responde a eso",
    filters_match_nothing: "Aquí no hay documentos del tipo elegido",
    no_index: "Ahora mismo no se puede citar nada",
    language_not_supported: "Aquí no se entiende este idioma",
    advice: "Pruebe con otras palabras o pregunte una cosa a la vez. Un médico, una farmacia o una línea de ayuda pueden decir más.",
    notReady: "Inténtelo otra vez más tarde.",
    askIn: "Por favor, pregunte en {x}.",
    nearest: "No es una respuesta, solo los pasajes más cercanos",
    nearestWhy: "Comparten palabras con la pregunta y no se encontró que la respondan.",
    note: "Antes de leer:",
    pages: "Página {x}",
    publisher: "Publicado por",
    authors: "De",
    kind: "Tipo de fuente",
    published: "Publicado",
    reviewed: "Revisado",
    funding: "Financiado por",
    disclosure: "Intereses",
    kinds: {
      government: "Gobierno",
      peer_reviewed: "Investigación revisada por pares",
      health_service: "Servicio de salud",
      charity: "Organización benéfica",
      treatment_provider: "Proveedor de tratamiento",
      news: "Noticias",
      personal: "Relato personal",
      other: "Otra",
    },
    beware: "Tenga en cuenta",
    flags: {
      undated: "Sin fecha",
      old: "De hace más de diez años",
      review_overdue: "Su revisión está atrasada: puede no estar al día",
      commercial: "Publicado por una empresa que vende tratamiento",
      personal_testimony: "La experiencia de una persona",
    },
    source: "Abrir en la fuente",
    permalink: "Leer en el documento",
    copy: "Copiar con la cita",
    copied: "Copiado",
    copyByHand: "Copie este texto:",
    also: "Casi las mismas palabras están en:",
    exit: "Salir de esta página ya",
    exitMore: "Para salir de esta página, pulse Escape {x} más",
    retry: "Preguntar otra vez",
    ready: "Ya puede preguntar otra vez.",
    reference: "Para quien lleva la biblioteca: {x}",
    errors: {
      empty: ["Todavía no hay pregunta", "Escriba su pregunta y luego busque."],
      csp: ["Esta página no puede preguntar a la biblioteca", "Para quien lleva el sitio: permita {x} en connect-src de la Content-Security-Policy de la página."],
      cors: ["La biblioteca no acepta preguntas de este sitio", "Para quien lleva el sitio: el ajuste cors_origins de la biblioteca debe incluir {x}."],
      offline: ["Parece que no hay conexión", "Su pregunta sigue aquí. Pregunte otra vez cuando haya conexión."],
      unreachable: ["No se puede llegar a la biblioteca", "Su pregunta sigue aquí. Inténtelo otra vez en un momento."],
      timeout: ["La biblioteca tarda demasiado", "Su pregunta sigue aquí. Inténtelo otra vez en un momento."],
      limited: ["Demasiadas preguntas a la vez", "Puede preguntar otra vez en {x}."],
      server: ["Algo falló en la biblioteca", "No fue por su pregunta. Inténtelo otra vez en un momento."],
      refused: ["La biblioteca no puede aceptar esta pregunta", "Pregunte con otras palabras o más brevemente."],
      wrong: ["Esto no es una respuesta de una biblioteca", "Para quien lleva el sitio: {x} no responde como un servidor de Citewell."],
      endpoint: ["Este buscador no está configurado", "Para quien lleva el sitio: el atributo endpoint debe ser la dirección de un servidor de Citewell."],
      mixed: ["Este buscador no está configurado", "Para quien lleva el sitio: una página en https solo puede preguntar a un endpoint en https."],
      filters: ["Este buscador no está configurado", "Para quien lleva el sitio: no se puede leer el atributo filters."],
    },
  },
};

/** The page's colours before ours. */
const palette = (scheme = "", colours = "") =>
  "background surface text muted border accent on-accent mark warn warn-background".split(" ")
    .reduce((css, name, i) => `${css}--${name}:var(--citewell-${name},#${colours.split(" ")[i]});`, `color-scheme:${scheme};`);
const DARK = palette("dark", "14191b 1c2427 e8edee a9b6ba 4d5a5e 8fd3dc 14191b 57480b ffb897 34211a");

// Sizes are em of the reader's own font size.
const CSS = `
:host{display:block!important}
:host([hidden]){display:none!important}
.box{all:initial;${palette("light", "fdfdfb fff 1c2427 4d5a5e c4cdcf 14525a fff fdeeb0 7a2e0e fdf1ea")}}
@media screen{.dark{${DARK}}}
@media screen and (prefers-color-scheme:dark){.auto{${DARK}}}
.box{--r:var(--citewell-radius,.5em);display:block;box-sizing:border-box;max-width:var(--citewell-max-width,46em);margin:0 auto;padding:var(--citewell-padding,1.25em);border-radius:var(--r);background:var(--background);color:var(--text);font:var(--citewell-font-size,medium)/1.6 var(--citewell-font,system-ui,sans-serif);overflow-wrap:anywhere;user-select:text;-webkit-user-select:text}
*,::before,::after{box-sizing:border-box}
label{display:block;margin:0 0 .4em;font-weight:600}
.ask{display:flex;flex-wrap:wrap;gap:.75em;align-items:end}
textarea{flex:999 1 16em;min-width:0;width:100%;min-height:3.1em;max-height:14em;field-sizing:content;margin:0;padding:.7em .8em;border:1px solid var(--muted);border-radius:var(--r);background:var(--surface);color:inherit;font:inherit;line-height:1.4;resize:vertical}
textarea::placeholder{color:var(--muted);opacity:1}
button,.call{min-height:2.75em;margin:0;padding:.5em 1.25em;border:1px solid var(--accent);border-radius:var(--r);background:none;color:var(--accent);font:inherit;font-weight:600;line-height:1.4;text-decoration:none;cursor:pointer}
.submit,.call{background:var(--accent);color:var(--on-accent)}
.submit{flex:1 0 auto;min-height:3.1em}
.exit{border-color:var(--warn);color:var(--warn);margin-top:.75em}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
[tabindex="-1"]:focus:not(.notice){outline:0}
h1,h2,h3,h4,h5,h6{margin:0;font-size:1.1em;line-height:1.35}
.top{margin-top:1.75em;font-size:1.25em}
p{margin:.5em 0}
a{color:var(--accent)}
ol,ul{margin:0;padding:0;list-style:none}
.quiet,dl,.acts{color:var(--muted);font-size:.9em}
.passage{margin:1em 0;padding:1.1em 1.25em;border:1px solid var(--border);border-radius:var(--r);background:var(--surface)}
blockquote{margin:1em 0;padding-inline-start:1em;border-inline-start:.25em solid var(--accent);font-size:1.05em;font-family:var(--citewell-quote-font,inherit);white-space:pre-wrap}
mark{border-radius:.15em;background:var(--mark);color:inherit}
dl{display:flex;flex-wrap:wrap;gap:.1em 1.25em;margin:.5em 0}
dt,dd{display:inline;margin:0}
dt::after{content:": "}
dd{color:var(--text)}
.flags{margin:.5em 0;color:var(--warn);font-size:.9em}
.flags li::before{content:"⚠ "/""}
.acts{display:flex;flex-wrap:wrap;gap:.25em 1.5em;align-items:center}
.acts a,.acts button{min-height:2.2em;padding:.35em 0;border:0;color:var(--accent);font-weight:400;line-height:1.5;text-align:start;text-decoration:underline}
.note,.notice,.error{margin:1em 0;padding:1.1em 1.25em;border-inline-start:.3em solid var(--warn);border-radius:var(--r);background:var(--warn-background)}
.notice{margin-top:1.5em;border:2px solid var(--warn);border-inline-start-width:.4em;outline-color:var(--warn)}
.notice .top{margin:0;color:var(--warn)}
.notice p{white-space:pre-line}
.calls{display:flex;flex-wrap:wrap;gap:.6em;margin-top:.75em}
.call{display:inline-block;background:var(--warn);border-color:var(--warn);color:var(--background)}
.error .top,.nearest .top{margin:0}
.nearest{margin-top:1.75em;padding:1.1em 1.25em;border:2px dashed var(--muted);border-radius:var(--r)}
.live{position:absolute;width:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.paper{display:none}
@media(forced-colors:active){mark{background:Mark;color:MarkText}}
@media print{.call{color:var(--warn);background:none}form,.acts,button{display:none}.box{padding:0}.passage{break-inside:avoid}mark{text-decoration:underline}.paper{display:block}}
`;

// Browsers from before 2023 keep the form inside.
const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);

/** @type {(value: unknown) => string} */
const text = (value) => (typeof value === "string" ? value : "");
/** @type {(value: unknown) => any[]} */
const list = (value) => (Array.isArray(value) ? value.filter((item) => item != null) : []);
/** @type {(value?: unknown) => Json} */
const json = (value) => (value && typeof value === "object" ? value : {});
const fill = (pattern = "", x = "") => text(pattern).replace("{x}", () => x);

/** A function listens to its name, a part is also a class. @type {(tag: string, attributes?: Json | null, ...children: any[]) => any} */
const h = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "part") element.className = value;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value != null && value !== "") element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => text(child) || child instanceof Node));
  return element;
};
const quiet = (child = "") => h("p", { class: "quiet" }, child);

/** What may become a link, else "". */
const address = (value = "", schemes = WEB) => {
  try {
    const url = new URL(text(value));
    return schemes.test(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
};
const here = (path = "", base = "") => address(/^\/(?!\/)/.test(text(path)) ? base + path : path);
/** Few sites may be framed. */
const link = (href = "", words = "") =>
  href && h("a", { part: "link", href, dir: "auto", rel: "noreferrer", target: top === window ? "" : "_blank" }, words);

export class CitewellSearch extends HTMLElement {
  static observedAttributes = [...OPTIONS, ...LOOKS];
  /** For pages to change and add to. */
  static strings = STRINGS;

  #own = json();
  /** @type {unknown} */ #filters;
  #life = new AbortController();
  /** @type {AbortController | undefined} */ #running;
  #done = Promise.resolve();
  /** `isBusy`, `answer`, `failure` or nothing. */ #view = json();
  #asked = "";
  #escapes = 0;
  #isDrawing = false;
  #clock = 0;
  #hush = 0;

  #label = h("label", { part: "label", for: "q" });
  #field = h("textarea", {
    part: "input", id: "q", rows: 1, dir: "auto", autocomplete: "off", enterkeyhint: "search",
    spellcheck: "false", // some browsers send it to their maker
    keydown: (event = json()) => event.key !== "Enter" || event.shiftKey || event.isComposing || this.#onSubmit(event),
  });
  #go = h("button", { part: "submit" });
  #exit = h("button", { part: "exit", type: "button", click: () => this.#leave() });
  #form = h("form", {
    part: "form", role: "search", novalidate: true, submit: (event = json()) => this.#onSubmit(event),
  }, this.#label, h("slot", { name: "hint" }), h("div", { class: "ask" }, this.#field, this.#go));
  #notices = h("div");
  // Announced as it is there before.
  #status = h("div", { part: "status", role: "status" });
  #results = h("div", { part: "results" });
  #live = h("div", { class: "live", role: "status" });
  #out = h("div", { tabindex: -1 }, this.#notices, this.#status, this.#results);
  #box = h("div", { part: "box" }, h("slot", { name: "heading" }), this.#form, this.#exit, this.#live, this.#out, h("slot", { name: "footer" }));

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(this.#box);
  }

  connectedCallback() {
    this.#life.abort();
    const { signal } = (this.#life = new AbortController());
    const self = json(this);
    // Set earlier, they hide the accessors.
    for (const name of [...PROPERTIES.keys(), "filters", "strings"]) {
      if (!Object.hasOwn(self, name)) continue;
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
    // For the back/forward cache.
    addEventListener("pagehide", () => this.#stop(), { signal });
    addEventListener("keydown", (event) => this.#onKey(event), { signal });
    // Typed earlier.
    const typed = json(this.querySelector("[name=question]"));
    if (typed.value && !this.#field.value) {
      this.#field.value = typed.value;
      typed.value = "";
    }
    this.#redraw();
  }

  disconnectedCallback() {
    this.#life.abort();
    // If moved, a request goes on.
    queueMicrotask(() => this.isConnected || this.#stop());
  }

  attributeChangedCallback(name = "", before = "", after = "") {
    if (before === after || !this.isConnected) return;
    if (name === "filters") this.#filters = undefined;
    this.#redraw(OPTIONS.includes(name));
  }

  /** As in the API, or the attribute's text. @type {unknown} */
  get filters() {
    return this.#filters ?? this.#a("filters");
  }
  set filters(value) {
    this.#filters = value;
    this.#redraw(true);
  }
  /** Own wording, all or in part. */
  get strings() {
    return this.#own;
  }
  set strings(value) {
    this.#own = json(value);
    this.#redraw();
  }

  /** Resolves when all is shown, or no longer wanted. */
  ask(question = "") {
    this.#field.value = question;
    return this.#submit();
  }

  focus() {
    this.#field.focus();
  }

  /** Forget question and answer. */
  clear() {
    this.#stop();
    this.#field.value = this.#asked = "";
    this.#show({});
  }

  #a = (name = "") => text(this.getAttribute(name));

  get #language() {
    const named = this.closest("[lang]")?.getAttribute("lang") || document.documentElement.lang;
    return [named, named.split("-")[0]].find((name) => Object.hasOwn(STRINGS, name)) || "en";
  }

  #t = (key = "", group = "") => {
    for (const words of [this.#own, STRINGS[this.#language], STRINGS.en]) {
      const found = (group ? json(words[group]) : words)[key];
      if (found !== undefined) return found;
    }
    return key;
  };

  /** Once for many attributes; options ask a running question anew. */
  #redraw(isOption = false) {
    if (isOption && this.#running) {
      this.#stop();
      queueMicrotask(() => this.isConnected && !this.#running && this.#submit(this.#asked));
    }
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    queueMicrotask(() => {
      this.#isDrawing = false;
      if (!this.isConnected) return;
      const t = this.#t;
      const theme = this.#a("theme");
      this.#box.className = `box ${/^(light|dark)$/.test(theme) ? theme : "auto"}`;
      this.#box.lang = this.#language;
      this.#label.textContent = this.#a("label") || t("label");
      this.#form.setAttribute("aria-label", this.#label.textContent);
      this.#field.placeholder = this.#a("placeholder");
      this.#go.textContent = t("submit");
      this.#exit.textContent = t("exit");
      this.#exit.hidden = !this.hasAttribute("quick-exit");
      // Before anybody types.
      const { failure } = this.#call();
      if (failure) this.#show({ failure });
      else if (this.#view.failure?.isSetup) this.#show({});
      else this.#draw();
    });
  }

  /** What to send where, or a failure. @returns {Json} */
  #call(question = "") {
    const written = this.#a("endpoint").trim();
    const fault = (code = "") => ({ failure: { code, isSetup: true } });
    /** @type {Json} */ const body = { question };
    let url;
    try {
      if (!/^(https?:\/)?\//i.test(written)) throw 0;
      url = new URL(written, location.href);
      if (!WEB.test(url.protocol) || url.username || url.password) throw 0;
    } catch {
      return fault("endpoint");
    }
    if (location.protocol === "https:" && url.protocol === "http:") return fault("mixed");
    const n = Math.trunc(+this.#a("top-k"));
    if (n > 0) body.top_k = n;
    try {
      const filters = parseFilters(this.filters);
      if (filters) body.filters = filters;
    } catch {
      return fault("filters");
    }
    return { body, origin: url.origin, base: url.origin + url.pathname.replace(/\/+$/, "") };
  }

  #onSubmit(event = json()) {
    event.preventDefault();
    this.#submit();
  }

  #submit(question = text(this.#field.value).trim()) {
    const { failure } = this.#view;
    if (failure?.wait > Date.now()) this.#say(this.#status.textContent);
    else if (!this.#running || question !== this.#asked) {
      this.#running?.abort();
      this.#running = undefined;
      const call = question ? this.#call(question) : { failure: { code: "empty" } };
      this.#asked = question;
      if (call.failure) this.#fail(call.failure);
      else this.#done = this.#run(call);
      if (!question) this.#field.focus();
    }
    return this.#done;
  }

  async #run({ base = "", origin = "", body = json() }) {
    const running = (this.#running = new AbortController());
    const late = setTimeout(() => running.abort(), (+this.#a("timeout") || 20) * 1000);
    const slow = setTimeout(() => this.#running === running && this.#show({ isBusy: true }), 300);
    let isBlocked = false;
    const onViolation = (event = json()) => {
      if (event.disposition === "enforce" && event.blockedURI.startsWith(origin)) isBlocked = true;
    };
    document.addEventListener("securitypolicyviolation", onViolation);
    /** @type {RequestInit} */
    const alike = { credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store", signal: running.signal };
    /** @type {Json} */ let answer = {};
    /** @type {Json | undefined} */ let failure;
    try {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${base}/v1/ask`, { ...alike, method: "POST", headers, body: JSON.stringify(body), redirect: "error" });
      const words = await response.text();
      try {
        answer = json(JSON.parse(words));
      } catch {}
      if (!response.ok) failure = failureOf(response, answer, origin);
      else if (typeof answer.answered !== "boolean") failure = { code: "wrong", x: origin };
    } catch {
      // Browsers do not say why, or late. Is anything there? (No question is sent.)
      const isThere = !running.signal.aborted && await fetch(`${base}/v1/health/live`, { ...alike, mode: "no-cors" }).then(() => true, () => new Promise((done) => setTimeout(done, 50)));
      const code = running.signal.aborted ? "timeout" : isBlocked ? "csp" : !navigator.onLine ? "offline" : isThere ? "cors" : "unreachable";
      failure = { code, x: isBlocked ? origin : location.origin };
    }
    clearTimeout(late);
    clearTimeout(slow);
    document.removeEventListener("securitypolicyviolation", onViolation);
    // Stale: no longer wanted.
    if (this.#running !== running) return;
    this.#running = undefined;
    if (failure) return this.#fail(failure);
    this.#show({ answer, base }, true);
    const { answered, reason = null } = answer;
    const n = (name = "") => list(answer[name]).length;
    this.#tell("answer", { answered, reason, passages: n("passages"), nearest: n("nearest"), notices: n("notices") }, { answer });
  }

  #fail(failure = json()) {
    const { code, status = 0, id: requestId = "" } = failure;
    this.#show({ failure }, true);
    this.#tell("error", { code, status, requestId });
  }

  /** The question stays here unless the page wants it. */
  #tell(name = "", detail = {}, more = {}) {
    if (this.hasAttribute("expose-question")) detail = { ...detail, ...more, question: this.#asked };
    this.dispatchEvent(new CustomEvent(`citewell:${name}`, { bubbles: true, composed: true, detail }));
  }

  #stop() {
    clearInterval(this.#clock);
    if (!this.#running) return;
    this.#running.abort();
    this.#running = undefined;
    this.#show({});
  }

  #onKey(event = json()) {
    if (event.key !== "Escape" || !this.hasAttribute("quick-exit")) this.#escapes = 0;
    else if (!event.repeat && ++this.#escapes > 2) this.#leave();
    else if (!event.repeat) this.#say(fill(this.#t("exitMore"), `${3 - this.#escapes}×`));
  }

  /** Blank the page, then replace it in the history. */
  #leave() {
    const to = address(this.#a("quick-exit")) || NEUTRAL;
    this.clear();
    document.title = "\u200b";
    document.documentElement.replaceChildren();
    try {
      json(top).location.replace(to);
    } catch {
      location.replace(to);
    }
  }

  #say(words = "") {
    this.#live.textContent = words;
    clearTimeout(this.#hush);
    this.#hush = setTimeout(() => (this.#live.textContent = ""), 5000);
  }

  #show(view = json(), isNew = false) {
    this.#view = view;
    this.#draw(isNew);
  }

  #draw(isNew = false) {
    const { answer, base, failure, isBusy } = this.#view;
    const root = json(this.shadowRoot);
    const focused = root.activeElement;
    const { activeElement, body } = document;
    // Who has gone elsewhere is told, not pulled back.
    const isElsewhere = activeElement && activeElement !== body && !focused;
    const wasInside = focused !== this.#out && this.#out.contains(focused);
    clearInterval(this.#clock);
    this.#out.setAttribute("aria-busy", !!this.#running);
    const notices = list((answer ?? failure)?.notices).map((notice) => this.#notice(notice, isNew && isElsewhere ? "alert" : ""));
    this.#notices.replaceChildren(...notices);
    this.#status.replaceChildren();
    this.#results.replaceChildren();
    if (isBusy) {
      this.#status.append(h("p", null, this.#t("busy")));
      this.#results.append(h("button", { type: "button", click: () => this.#stop() }, this.#t("stop")));
    } else if (failure) this.#drawFailure(failure);
    else if (answer) this.#drawAnswer(answer, base);
    if (isNew && notices.length && !isElsewhere) notices[0].focus();
    else if (wasInside && !root.activeElement) this.#out.focus({ preventScroll: true });
  }

  #heading(deeper = 0, words = "", attributes = {}) {
    const level = this.#a("heading-level");
    return h(`h${(/^[1-5]$/.test(level) ? +level : 2) + deeper}`, { class: deeper ? "" : "top", dir: "auto", ...attributes }, words);
  }

  #notice(notice = json(), role = "") {
    const title = text(notice.title);
    return h("section", { part: "notice", role, tabindex: -1, "aria-label": title, lang: notice.language },
      this.#heading(0, title),
      h("p", { dir: "auto" }, notice.text),
      h("ul", { class: "calls", role: "list" }, ...list(notice.links).map((to) => {
        const href = address(to.href, /^(https?|tel|sms):$/);
        return h("li", null, href ? h("a", { part: "call", href, dir: "auto", rel: "noreferrer" }, to.label) : to.label);
      })));
  }

  #drawFailure(failure = json()) {
    const t = this.#t;
    const [title, why] = t(failure.code, "errors");
    const words = h("p");
    const again = h("button", { type: "button", click: () => this.#submit() }, t("retry"));
    this.#status.append(h("div", { part: "error" }, this.#heading(0, title), words,
      failure.detail && h("p", { dir: "auto" }, failure.detail),
      failure.id && quiet(fill(t("reference"), failure.id))));
    const seconds = () => Math.ceil((failure.wait - Date.now()) / 1000);
    if (seconds() > 0) {
      const unit = new Intl.NumberFormat(this.#language, { style: "unit", unit: "second", unitDisplay: "long" });
      const count = h("span", { "aria-live": "off" });
      const tick = () => {
        count.textContent = unit.format(seconds());
        if (seconds() > 0) return;
        clearInterval(this.#clock);
        words.textContent = t("ready");
        this.#results.prepend(again);
      };
      const [before, after] = text(why).split("{x}");
      words.append(before, count, after ?? "");
      tick();
      this.#clock = setInterval(tick, 1000);
    } else {
      words.textContent = failure.wait ? t("ready") : fill(why, failure.x);
      if (/^(off|unr|tim|ser|lim)/.test(failure.code)) this.#results.append(again);
    }
    this.#results.append(h("slot", { name: "help" }));
  }

  #drawAnswer(answer = json(), base = "") {
    const t = this.#t;
    const passages = answer.answered ? list(answer.passages) : [];
    const nearest = list(answer.nearest);
    const n = passages.length;
    const reason = /^(off_topic|filters_match_nothing|no_index|language_not_supported)$/.test(answer.reason) ? answer.reason : "not_answered";
    const names = new Intl.DisplayNames(this.#language, { type: "language" });
    const known = list(answer.languages).filter((code) => /^[a-z]{2,3}$/.test(code)).map((code) => names.of(code) ?? "");
    const languages = new Intl.ListFormat(this.#language, { type: "disjunction" }).format(known);
    const items = (found = [json()]) => found.map((passage) => this.#passage(passage, base, found === passages));
    this.#status.append(
      this.#heading(0, n > 1 ? fill(t("many"), `${n}`) : t(n ? "one" : reason)),
      quiet(languages ? fill(t("askIn"), languages) : t(n ? "marked" : reason === "no_index" ? "notReady" : "advice")),
      ...list(answer.matched).map((name) => quiet(fill(t("understood"), text(name)))));
    this.#results.append(n ? h("ol", { part: "passages", role: "list" }, ...items(passages)) : h("slot", { name: "help" }));
    if (nearest.length) {
      this.#results.append(h("section", { part: "nearest", "aria-label": t("nearest") },
        this.#heading(0, t("nearest")), h("p", null, t("nearestWhy")), h("ul", { role: "list" }, ...items(nearest))));
    }
  }

  #passage(passage = json(), base = "", isAnswer = true) {
    const t = this.#t;
    const source = json(passage.document);
    const citation = json(passage.citation);
    const title = text(source.title);
    const lang = source.language;
    const path = list(passage.heading_path).map(text).filter((name) => name !== title).join(" › ");
    const pages = [...new Set(list(passage.pages))].join("–");
    const place = [path, pages && fill(t("pages"), pages)].filter(text).join(" · ");
    const permalink = here(citation.permalink, base);
    const note = text(source.content_note);
    const also = list(passage.also_in).map((other) => link(here(`/c/${encodeURIComponent(text(other.passage_id))}`, base), other.title));
    const segments = Array.isArray(passage.segments) ? list(passage.segments) : [{ text: passage.text }];
    const quote = h("blockquote", { part: "quote", dir: "auto", lang },
      ...segments.map((cut) => (cut.evidence && isAnswer ? h("mark", { part: "evidence" }, cut.text) : cut.text)));
    const copy = h("button", {
      part: "copy", type: "button",
      click: () => this.#copy(copy, `“${quote.textContent}”\n\n${text(citation.text)}\n${permalink}`),
    }, t("copy"));
    return h("li", { part: "passage" },
      this.#heading(1, title, { part: "title", lang }),
      place && quiet(h("bdi", null, place)),
      note && h("p", { part: "note" }, h("strong", null, t("note")), " ", h("bdi", null, note)),
      quote,
      this.#source(source),
      h("p", { class: "paper" }, citation.text, " ", permalink),
      h("div", { class: "acts" }, link(address(citation.link), t("source")), link(permalink, t("permalink")), copy),
      also.length && h("div", { class: "acts" }, h("span", null, t("also")), ...also));
  }

  #source(source = json()) {
    const t = this.#t;
    const day = new Intl.DateTimeFormat(this.#language, { dateStyle: "long", timeZone: "UTC" });
    const rows = ["publisher", "authors", "kind", "published", "reviewed", "funding", "disclosure"].map((name) => {
      let value = name === "authors" ? list(source.authors).filter((who) => who !== source.publisher).join(", ") : text(source[name]);
      if (name === "kind") value = source.source_type ? t(text(source.source_type), "kinds") : "";
      const date = name.endsWith("ed") ? Date.parse(value) : NaN;
      return value && h("div", null, h("dt", null, t(name)), h("dd", null, date ? h("time", { datetime: value }, day.format(date)) : h("bdi", null, value)));
    });
    const flags = list(source.flags).map((flag) => h("li", null, t(text(flag), "flags")));
    return h("div", { part: "source" },
      h("dl", null, ...rows),
      flags.length && h("ul", { part: "flags", role: "list", "aria-label": t("beware") }, ...flags));
  }

  async #copy(button = h("button"), words = "") {
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      // No clipboard on http and in most frames.
      const by = h("textarea", { readonly: true, rows: 4, "aria-label": this.#t("copyByHand") });
      by.value = words;
      button.after(by);
      by.select();
      if (!document.execCommand("copy")) return;
      by.remove();
      button.focus();
    }
    button.textContent = this.#t("copied");
    this.#say(button.textContent);
    setTimeout(() => (button.textContent = this.#t("copy")), 3000);
  }
}

const PROPERTIES = new Map([...OPTIONS, ...LOOKS, "expose-question"].map((name) => [name.replace(/-./g, (part) => part[1].toUpperCase()), name]));
for (const [property, name] of PROPERTIES) {
  if (property in CitewellSearch.prototype) continue;
  Object.defineProperty(CitewellSearch.prototype, property, {
    get() {
      return this.getAttribute(name);
    },
    set(value) {
      if (value == null || value === false) this.removeAttribute(name);
      else this.setAttribute(name, value === true ? "" : value);
    },
  });
}

/** From an object, JSON, or "source_type=charity; language=en". @type {(value: any) => Json | undefined} */
function parseFilters(value) {
  if (!value) return undefined;
  if (typeof value === "object") return value;
  if (value.trim()[0] === "{") return JSON.parse(value);
  const filters = json();
  for (const part of value.split(";").filter(text)) {
    const { 1: name, 2: values } = json(/^\s*(\w+)\s*=\s*(.*\S)\s*$/.exec(part));
    filters[name] = /^(language|published_\w+)$/.test(name) ? values : values.split(/\s*,\s*/);
  }
  return filters;
}

function failureOf(response = new Response(), problem = json(), x = "") {
  const { status, headers } = response;
  const id = text(problem.request_id) || headers.get("x-request-id");
  const after = headers.get("retry-after") ?? "";
  const seconds = Number(after) || (Date.parse(after) - Date.now()) / 1000 || 30;
  const code = status === 429 ? "limited" : status >= 500 ? "server" : problem.code ? "refused" : "wrong";
  return {
    code, status, x,
    id: [problem.code, id].filter(Boolean).join(" · "),
    notices: problem.notices,
    detail: code === "refused" && [problem.detail, problem.fix].map(text).join(" "),
    wait: code === "limited" && Date.now() + Math.min(3600, seconds) * 1000,
  };
}

customElements.get("citewell-search") ?? customElements.define("citewell-search", CitewellSearch);
