// @ts-check
/**
 * The admin page: documents, uploads, builds, snapshots, over the routes under /v1/admin.
 *
 * The token lives in one variable and nowhere else. Whatever comes from the server or from a file's name is put into
 * the page as text, never as HTML; the page's policy would refuse it anyway.
 */

/** @typedef {{code: string, title: string, detail: string, fix: string, status: number, request_id: string}} Problem */
/** @typedef {{code: string, what: string, where: string, fix: string}} Fault */
/** @typedef {{field: string, problem: string, fix: string, is_error: boolean}} Finding */
/**
 * @typedef {{readable: boolean, reader: string, n_chars: number, n_pages: number, n_passages: number,
 *   metadata: Record<string, unknown> | null, findings: Finding[], error: Fault | null}} Read
 */
/**
 * @typedef {{id: string, state: string, title: string, size_bytes: number | null, modified_at: string | null,
 *   sha256: string, read: Read | null}} AdminDocument
 */
/**
 * @typedef {{id: string, state: string, revision: number, phase: string, done: number, total: number,
 *   created_at: string, finished_at: string | null, report: Record<string, unknown> | null, error: Fault | null}} Build
 */
/**
 * @typedef {{id: string, created_at: string | null, is_current: boolean, is_served: boolean, documents: number | null,
 *   passages: number | null, size_bytes: number, problem: string}} Snapshot
 */

const PAGE = 50;
const STATES = /** @type {Record<string, string>} */ ({
  new: "New: in the answers after the next build",
  indexed: "In the index",
  changed: "Changed since the last build",
  removed: "Gone from the folder: the next build withdraws it",
  failed: "Can't be opened",
});
const OUTCOMES = /** @type {Record<string, string>} */ ({
  queued: "The build is starting",
  running: "The build is running",
  succeeded: "The build is published",
  failed: "The build failed; the old index is still served",
  interrupted: "The build was interrupted; the index is whole",
  cancelled: "The build was cancelled; the old index is still served",
});
const PHASES = /** @type {Record<string, string>} */ ({
  read: "Reading documents",
  split: "Cutting passages",
  embed: "Embedding passages",
  verify: "Proving every quote",
});
const UNDER_WAY = ["queued", "running"];

/** A request that the service refused; `problem` is null when it was not reached. */
class Refused extends Error {
  /** @param {Problem | null} problem @param {number} status */
  constructor(problem, status) {
    super(problem ? sentences(problem.detail, problem.fix) : "The service could not be reached. Check the connection.");
    this.problem = problem;
    this.status = status;
  }
}

let token = "";
let offset = 0;
let total = 0;
/** Rises at each search, so that an answer that comes late is dropped. */
let searches = 0;
/** The build that is followed; aborting it ends the stream. */
let following = /** @type {AbortController | null} */ (null);
let buildId = "";

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function part(id, kind) {
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
function make(name, is = {}, ...children) {
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
function button(label, act, about) {
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
function sentences(...parts) {
  return parts
    .filter(Boolean)
    .map((text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`)
    .join(" ");
}

/** @param {number} n @param {string} one @param {string} [many] */
function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

/** @param {string} text */
function say(text) {
  part("said", HTMLElement).textContent = text;
}

/** @param {number} bytes */
function size(bytes) {
  return bytes < 100_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** @param {string | null} moment */
function when(moment) {
  return moment ? new Date(moment).toLocaleString() : "";
}

/** @param {string} id */
function address(id) {
  return `/v1/admin/documents/${id.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Call the service.
 * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
async function call(method, path, body, headers = {}) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
  } catch {
    throw new Refused(null, 0);
  }
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const value = isJson && text ? JSON.parse(text) : null;
  if (!response.ok) {
    if (response.status === 401) {
      signOut("The token is no longer taken. Sign in again.");
    }
    throw new Refused(value, response.status);
  }
  return value;
}

/** Do something and say what went wrong, if anything did. @param {() => Promise<void>} act */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    say(error instanceof Refused ? error.message : `Something failed on this page: ${String(error)}`);
  }
}

// Signing in and out

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  const field = part("token", HTMLInputElement);
  const problem = part("token-problem", HTMLElement);
  problem.textContent = "";
  token = field.value.trim();
  try {
    await call("GET", "/v1/admin/snapshots");
  } catch (error) {
    token = "";
    const status = error instanceof Refused ? error.status : 0;
    const told = error instanceof Refused && error.problem ? error.problem.code : "";
    problem.textContent =
      told === "token_expired"
        ? "This token has expired. Ask whoever runs the service for a new one."
        : status === 401
          ? "This token is not known here. Look at it again, or ask whoever runs the service."
          : status === 403
            ? "This token allows reading alone. Administering needs an admin token."
            : error instanceof Error
              ? error.message
              : "Something failed.";
    field.focus();
    return;
  }
  field.value = "";
  part("sign-in", HTMLElement).hidden = true;
  part("desk", HTMLElement).hidden = false;
  part("folder", HTMLInputElement).focus();
  await refresh();
  await resumeBuild();
}

/** @param {string} [why] */
function signOut(why = "") {
  token = "";
  following?.abort();
  following = null;
  part("desk", HTMLElement).hidden = true;
  part("sign-in", HTMLElement).hidden = false;
  for (const id of ["documents", "uploads", "builds", "snapshots", "report", "served", "changes", "found"]) {
    part(id, HTMLElement).replaceChildren();
  }
  part("token-problem", HTMLElement).textContent = why;
  part("token", HTMLInputElement).focus();
}

async function refresh() {
  await Promise.all([
    attempt(showDocuments),
    attempt(async () => {
      await showSnapshots();
    }),
    attempt(showBuilds),
  ]);
}

// Documents

async function showDocuments() {
  const mine = ++searches;
  const query = new URLSearchParams({ limit: String(PAGE), offset: String(offset) });
  const wanted = part("q", HTMLInputElement).value.trim();
  if (wanted) {
    query.set("q", wanted);
  }
  part("found", HTMLElement).textContent = "Reading the library folder …";
  const list = part("documents", HTMLElement);
  list.setAttribute("aria-busy", "true");
  /** @type {{documents: AdminDocument[], total: number, changes: Record<string, number>, ignored: string[]}} */
  let page;
  try {
    page = await call("GET", `/v1/admin/documents?${query}`);
  } catch (error) {
    if (mine === searches) {
      part("found", HTMLElement).textContent = error instanceof Error ? error.message : "Something failed.";
      list.removeAttribute("aria-busy");
    }
    return;
  }
  if (mine !== searches) {
    return;
  }
  total = page.total;
  if (offset > 0 && page.documents.length === 0) {
    offset = 0;
    await showDocuments();
    return;
  }
  const last = offset + page.documents.length;
  const ignored = page.ignored.length ? ` ${page.ignored.length} other files are of kinds that no reader takes.` : "";
  part("found", HTMLElement).textContent =
    (total ? `Documents ${offset + 1} to ${last} of ${total}.` : "No document is found.") + ignored;
  part("changes", HTMLElement).textContent = changesText(page.changes);
  list.replaceChildren(...page.documents.map(documentCard));
  list.removeAttribute("aria-busy");
  part("before", HTMLElement).hidden = offset === 0;
  part("after", HTMLElement).hidden = last >= total;
}

/** @param {Record<string, number>} changes */
function changesText(changes) {
  const parts = [
    changes.new ? `${changes.new} new` : "",
    changes.changed ? `${changes.changed} changed` : "",
    changes.removed ? `${changes.removed} to withdraw` : "",
    changes.failed ? `${changes.failed} that can't be opened` : "",
  ].filter(Boolean);
  return parts.length
    ? `Since the state that is served: ${parts.join(", ")}.`
    : "The index is as the folder is; a build changes nothing.";
}

/** @param {AdminDocument} item */
function documentCard(item) {
  const card = make("article", { className: "document" });
  const title = make("h3", { text: item.title || item.id });
  title.dir = "auto";
  card.append(
    title,
    make("p", { className: "path", text: item.id }),
    make("p", {}, make("span", { className: "state", text: STATES[item.state] ?? item.state })),
  );
  if (item.read?.error) {
    card.append(make("p", { className: "fault", text: sentences(item.read.error.what, item.read.error.fix) }));
  }
  card.append(metadataList(item), findingsBox(item.read?.findings ?? []));
  if (item.state !== "removed") {
    card.append(make("p", { className: "row" }, button("Delete", () => void deleteDocument(item), item.id)));
  }
  return card;
}

/** @param {AdminDocument} item */
function metadataList(item) {
  const known = item.read?.metadata ?? {};
  const list = make("dl", { className: "card" });
  const shown = /** @type {[string, unknown][]} */ ([
    ["Publisher", known.publisher],
    ["Published", known.published],
    ["Reviewed", known.reviewed],
    ["Review due", known.review_due],
    ["Kind", known.source_type],
    ["Language", known.language],
    ["Licence", known.license],
    ["Address", known.url],
    ["Tags", known.tags],
    ["Passages", item.read?.readable ? item.read.n_passages : ""],
    ["Pages", item.read?.n_pages || ""],
    ["Size", item.size_bytes === null ? "" : size(item.size_bytes)],
    ["Last written", when(item.modified_at)],
  ]);
  for (const [name, value] of shown) {
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
    if (text) {
      list.append(make("div", {}, make("dt", { text: name }), make("dd", { text })));
    }
  }
  return list.childElementCount ? list : document.createDocumentFragment();
}

/** @param {Finding[]} findings */
function findingsBox(findings) {
  if (findings.length === 0) {
    return document.createDocumentFragment();
  }
  const list = make("ul", { className: "findings small" });
  for (const finding of findings) {
    const field = finding.field ? `${finding.field} ` : "";
    const kind = finding.is_error ? "Error" : "Advice";
    list.append(make("li", { text: `${kind}: ${field}${finding.problem} (${finding.fix})` }));
  }
  const errors = findings.filter((finding) => finding.is_error).length;
  const summary = `${findings.length} to mend${errors ? `, ${errors} of them required` : ""}`;
  return make("details", {}, make("summary", { text: summary }), list);
}

/** @param {AdminDocument} item */
async function deleteDocument(item) {
  const isSure = await confirmed(
    "Delete this document?",
    `${item.id} is deleted from the library folder. It is quoted until the next build is published.`,
  );
  if (!isSure) {
    return;
  }
  await attempt(async () => {
    await call("DELETE", address(item.id), undefined, item.sha256 ? { "if-match": `"${item.sha256}"` } : {});
    say(`${item.id} is deleted. Build to withdraw it from the answers.`);
  });
  await attempt(showDocuments);
  part("q", HTMLInputElement).focus();
}

/**
 * Ask in a dialog that keeps the focus; Escape means no.
 * @param {string} title @param {string} text @returns {Promise<boolean>}
 */
function confirmed(title, text) {
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

// Uploads

/** @param {Iterable<File>} files */
async function upload(files) {
  const folder = part("folder", HTMLInputElement).value.trim().replace(/^\/+|\/+$/g, "");
  const chosen = [...files];
  let stored = 0;
  // One after the other: each is read by the service, and the order of the results is the order of the files.
  const rows = chosen.map((file) => uploadRow(folder ? `${folder}/${file.name}` : file.name));
  for (const [number, file] of chosen.entries()) {
    stored += (await uploadOne(file, rows[number])) ? 1 : 0;
  }
  say(`${stored} of ${chosen.length} ${chosen.length === 1 ? "file is" : "files are"} in the library folder.`);
  if (token) {
    await attempt(showDocuments);
  }
}

/** @typedef {{id: string, item: HTMLElement, bar: HTMLProgressElement, result: HTMLElement}} UploadRow */

/** @param {string} id @returns {UploadRow} */
function uploadRow(id) {
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${id}`);
  const result = make("p", { text: "Waiting" });
  const item = make("li", {}, make("strong", { text: id }), bar, result);
  part("uploads", HTMLElement).append(item);
  return { id, item, bar, result };
}

/**
 * Send one file; a document of that name is replaced after asking.
 * @param {File} file @param {UploadRow} row @returns {Promise<boolean>} whether it is stored
 */
async function uploadOne(file, row) {
  const limit = Number(part("admin", HTMLElement).dataset.maxUploadBytes);
  if (file.size > limit) {
    return settle(row, `Not stored: ${size(file.size)} are more than the ${size(limit)} that are taken.`, false);
  }
  try {
    let reply = await send(file, row, { "if-none-match": "*" });
    if (reply.status === 412) {
      const isSure = await confirmed("Replace the document?", `${row.id} is in the library folder already.`);
      if (!isSure) {
        return settle(row, "Not stored: the document that is there was kept.", false);
      }
      reply = await send(file, row, { "if-match": "*" });
    }
    if (reply.status >= 400) {
      return settle(row, `Not stored. ${sentences(reply.value.detail, reply.value.fix)}`, false);
    }
    const { read, created } = reply.value;
    const advice = read.findings.length ? `, ${read.findings.length} to mend` : "";
    settle(row, `${created ? "Stored" : "Replaced"}: ${count(read.n_passages, "passage")}${advice}.`, true);
    row.item.append(findingsBox(read.findings));
    return true;
  } catch {
    return settle(row, "Not stored: the connection broke off. Try again.", false);
  }
}

/** @param {UploadRow} row @param {string} text @param {boolean} isGood */
function settle(row, text, isGood) {
  row.bar.remove();
  row.result.textContent = text;
  row.result.className = isGood ? "" : "fault";
  return isGood;
}

/**
 * Send by XMLHttpRequest, which alone tells how much has gone out.
 * @param {File} file @param {UploadRow} row @param {Record<string, string>} headers
 * @returns {Promise<{status: number, value: any}>}
 */
function send(file, row, headers) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address(row.id));
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    for (const [name, value] of Object.entries(headers)) {
      request.setRequestHeader(name, value);
    }
    request.upload.addEventListener("progress", (event) => {
      row.bar.value = event.lengthComputable ? event.loaded / event.total : 0;
      row.result.textContent = event.loaded < event.total ? "Sending" : "The service reads it";
    });
    request.addEventListener("load", () => {
      try {
        resolve({ status: request.status, value: JSON.parse(request.responseText) });
      } catch (error) {
        reject(error);
      }
    });
    for (const failure of ["error", "abort", "timeout"]) {
      request.addEventListener(failure, () => reject(new Error(failure)));
    }
    request.send(file);
  });
}

// Builds

async function startBuild() {
  part("report", HTMLElement).replaceChildren();
  /** @type {Build} */
  const build = await call("POST", "/v1/admin/builds", { refuse_failures: part("refuse", HTMLInputElement).checked });
  say("The build is starting.");
  await follow(build);
}

/** Follow a build that was under way when somebody signed in. */
async function resumeBuild() {
  await attempt(async () => {
    /** @type {{builds: Build[]}} */
    const { builds } = await call("GET", "/v1/admin/builds");
    const running = builds.find((build) => UNDER_WAY.includes(build.state));
    if (running) {
      await follow(running);
    }
  });
}

/**
 * Show a build until its end. A stream that breaks off is taken up after the last event that was seen.
 * @param {Build} build
 */
async function follow(build) {
  following?.abort();
  const mine = new AbortController();
  following = mine;
  buildId = build.id;
  let latest = build;
  let failures = 0;
  showProgress(latest);
  while (UNDER_WAY.includes(latest.state) && failures < 10 && !mine.signal.aborted) {
    try {
      for await (const event of events(latest, mine.signal)) {
        latest = event;
        failures = 0;
        showProgress(latest);
      }
    } catch (error) {
      if (mine.signal.aborted || (error instanceof Refused && error.problem)) {
        break;
      }
    }
    if (UNDER_WAY.includes(latest.state)) {
      failures += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.min(5_000, 300 * 2 ** failures)));
    }
  }
  if (mine.signal.aborted) {
    return;
  }
  following = null;
  showProgress(latest);
  if (UNDER_WAY.includes(latest.state)) {
    say("The service can't be reached; sign in again to see what became of the build.");
    return;
  }
  say(OUTCOMES[latest.state] ?? latest.state);
  showReport(latest);
  await attempt(showBuilds);
  await attempt(settleSnapshots);
}

/**
 * Read server-sent events by fetch: EventSource can't send a token.
 * @param {Build} build @param {AbortSignal} signal @returns {AsyncGenerator<Build>}
 */
async function* events(build, signal) {
  const response = await fetch(`/v1/admin/builds/${encodeURIComponent(build.id)}/events`, {
    headers: { authorization: `Bearer ${token}`, "last-event-id": String(build.revision) },
    cache: "no-store",
    credentials: "omit",
    signal,
  });
  if (!response.ok || !response.body) {
    throw new Refused(response.status < 500 ? await response.json() : null, response.status);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    pending += value;
    const blocks = pending.split("\n\n");
    pending = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => line.slice(6))
        .join("\n");
      if (data) {
        yield JSON.parse(data);
      }
    }
  }
}

/** @param {Build} build */
function showProgress(build) {
  const isUnderWay = UNDER_WAY.includes(build.state);
  part("progress-box", HTMLElement).hidden = !isUnderWay;
  part("cancel", HTMLElement).hidden = !isUnderWay;
  part("build", HTMLButtonElement).disabled = isUnderWay;
  const bar = part("progress", HTMLProgressElement);
  const progress = build.total ? ` (${build.done} of ${build.total})` : "";
  part("phase", HTMLElement).textContent = `${PHASES[build.phase] ?? (build.phase || "Starting")}${progress}`;
  if (build.total) {
    bar.max = build.total;
    bar.value = build.done;
  } else {
    bar.removeAttribute("value");
  }
}

/** Show whatever a report holds. @param {Build} build */
function showReport(build) {
  const box = part("report", HTMLElement);
  box.replaceChildren(make("h3", { text: OUTCOMES[build.state] ?? build.state }));
  if (build.error) {
    const place = build.error.where ? `${build.error.where}: ` : "";
    box.append(make("p", { className: "fault", text: sentences(`${place}${build.error.what}`, build.error.fix) }));
  }
  const counts = make("dl", { className: "counts" });
  const lists = document.createDocumentFragment();
  const leftOut = /** @type {Record<string, number>} */ (build.report?.left_out ?? {});
  for (const [name, value] of Object.entries(build.report ?? {})) {
    if (name === "left_out") {
      continue;
    }
    if (Array.isArray(value)) {
      lists.append(reportList(name, value, leftOut[name] ?? 0));
    } else if (value !== null && typeof value === "object") {
      for (const [key, one] of Object.entries(value)) {
        addCount(counts, `${name} ${key}`, one);
      }
    } else {
      addCount(counts, name, value);
    }
  }
  if (counts.childElementCount) {
    box.append(counts);
  }
  box.append(lists);
  box.focus();
}

/** @param {HTMLElement} list @param {string} name @param {unknown} value */
function addCount(list, name, value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  list.append(make("div", {}, make("dt", { text: words(name) }), make("dd", { text })));
}

/** @param {string} name @param {unknown[]} values @param {number} more */
function reportList(name, values, more) {
  if (values.length === 0) {
    return document.createDocumentFragment();
  }
  const list = make("ul", { className: "small" }, ...values.map((value) => make("li", { text: entry(value) })));
  if (more) {
    list.append(make("li", { text: `and ${more} more` }));
  }
  const box = document.createElement("details");
  // What went wrong is seen without another click.
  box.open = name.startsWith("fail") || values.length <= 5;
  box.append(make("summary", { text: `${words(name)}: ${values.length + more}` }), list);
  return box;
}

/** @param {unknown} value @returns {string} */
function entry(value) {
  if (Array.isArray(value)) {
    return value.map(entry).join(": ");
  }
  if (value !== null && typeof value === "object") {
    const { path, id, reason, what, fix, ...rest } = /** @type {Record<string, unknown>} */ (value);
    const others = Object.entries(rest).map(([key, one]) => `${words(key)} ${entry(one)}`);
    const told = [path ?? id, reason ?? what, ...others].filter((one) => one !== undefined && one !== "").join(": ");
    return fix ? `${told} (${String(fix)})` : told;
  }
  return String(value);
}

/** @param {string} name */
function words(name) {
  return name.replace(/^n_/, "").replaceAll("_", " ");
}

async function showBuilds() {
  /** @type {{builds: Build[]}} */
  const { builds } = await call("GET", "/v1/admin/builds");
  part("builds-box", HTMLElement).hidden = builds.length === 0;
  part("builds", HTMLElement).replaceChildren(
    ...builds.map((build) =>
      make(
        "li",
        {},
        make("p", { className: "row" },
          make("span", { text: `${when(build.created_at)}: ${OUTCOMES[build.state] ?? build.state}` }),
          button("Report", () => void attempt(async () => {
            showReport(await call("GET", `/v1/admin/builds/${encodeURIComponent(build.id)}`));
          }), build.id)),
      ),
    ),
  );
}

// Snapshots

async function showSnapshots() {
  /** @type {{snapshots: Snapshot[]}} */
  const { snapshots } = await call("GET", "/v1/admin/snapshots");
  const served = snapshots.find((snapshot) => snapshot.is_served);
  part("served", HTMLElement).textContent = served
    ? `Answers come from the state of ${when(served.created_at)}: ${count(served.documents ?? 0, "document")}, ` +
      `${count(served.passages ?? 0, "passage")}.`
    : "Nothing is served yet: add documents and build.";
  part("snapshots", HTMLElement).replaceChildren(...snapshots.map(snapshotItem));
  return snapshots.every((snapshot) => snapshot.is_current === snapshot.is_served);
}

/** Wait until what is live is served as well: a process opens a new state within seconds. */
async function settleSnapshots() {
  for (let tries = 0; tries < 40 && token; tries += 1) {
    if (await showSnapshots()) {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await showDocuments();
}

/** @param {Snapshot} snapshot */
function snapshotItem(snapshot) {
  const counts =
    snapshot.documents === null
      ? ""
      : `${count(snapshot.documents, "document")}, ${count(snapshot.passages ?? 0, "passage")}, ${size(snapshot.size_bytes)}`;
  const item = make("li", {}, make("strong", { text: when(snapshot.created_at) || snapshot.id }));
  item.append(make("p", { className: "small", text: [snapshot.id, counts].filter(Boolean).join(" · ") }));
  if (snapshot.problem) {
    item.append(make("p", { className: "fault", text: snapshot.problem }));
  }
  if (snapshot.is_current) {
    item.append(make("p", {}, make("span", { className: "state", text: "Live" })));
  } else if (!snapshot.problem) {
    item.append(button("Go back to this state", () => void rollBack(snapshot), snapshot.id));
  }
  return item;
}

/** @param {Snapshot} snapshot */
async function rollBack(snapshot) {
  const isSure = await confirmed(
    "Go back to this state?",
    `Answers then come from the state of ${when(snapshot.created_at)}. Documents on disk stay as they are.`,
  );
  if (!isSure) {
    return;
  }
  await attempt(async () => {
    await call("POST", "/v1/admin/rollback", { snapshot: snapshot.id });
    say(`The state of ${when(snapshot.created_at)} is live; every process follows within seconds.`);
  });
  await attempt(settleSnapshots);
}

// Wiring

function start() {
  const admin = document.getElementById("admin");
  if (!admin) {
    return;
  }
  admin.hidden = false;
  part("sign-in", HTMLFormElement).addEventListener("submit", (event) => void signIn(event));
  part("sign-out", HTMLElement).addEventListener("click", () => signOut());
  part("build", HTMLElement).addEventListener("click", () => void attempt(startBuild));
  part("cancel", HTMLElement).addEventListener("click", () => void attempt(async () => {
    await call("DELETE", `/v1/admin/builds/${encodeURIComponent(buildId)}`);
    say("The build stops at its next step.");
  }));
  part("search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    offset = 0;
    void attempt(showDocuments);
  });
  part("before", HTMLElement).addEventListener("click", () => turn(-PAGE));
  part("after", HTMLElement).addEventListener("click", () => turn(PAGE));
  const dialog = part("confirm", HTMLDialogElement);
  part("confirm-yes", HTMLElement).addEventListener("click", () => dialog.close("yes"));
  part("confirm-no", HTMLElement).addEventListener("click", () => dialog.close("no"));
  wireFiles();
  part("token", HTMLInputElement).focus();
}

/** @param {number} step */
function turn(step) {
  offset = Math.max(0, offset + step);
  void attempt(showDocuments);
  part("documents-title", HTMLElement).scrollIntoView();
}

function wireFiles() {
  const picker = part("files", HTMLInputElement);
  picker.addEventListener("change", () => {
    const files = [...(picker.files ?? [])];
    picker.value = ""; // so that the same file can be chosen again
    void upload(files);
  });
  const box = part("drop", HTMLElement);
  // A file dropped beside the box would replace the page.
  for (const kind of ["dragover", "drop"]) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
  box.addEventListener("dragenter", () => box.classList.add("is-over"));
  box.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node) || !box.contains(event.relatedTarget)) {
      box.classList.remove("is-over");
    }
  });
  box.addEventListener("drop", (event) => {
    box.classList.remove("is-over");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) {
      void upload(files);
    }
  });
}

start();
