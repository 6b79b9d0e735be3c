// @ts-check
/** What documents, reports and snapshots look like: values in, elements out. Calls nothing and keeps nothing. */

import { button, count, make, part, sentences, size, when, words } from "./admin_dom.js";

/** @typedef {import("./admin_api.js").AdminDocument} AdminDocument */
/** @typedef {import("./admin_api.js").Build} Build */
/** @typedef {import("./admin_api.js").Finding} Finding */
/** @typedef {import("./admin_api.js").Snapshot} Snapshot */
/** @typedef {import("./admin_api.js").UploadRow} UploadRow */

export const STATES = /** @type {Record<string, string>} */ ({
  new: "New: in the answers after the next build",
  indexed: "In the index",
  changed: "Changed since the last build",
  removed: "Gone from the folder: the next build withdraws it",
  failed: "Can't be opened",
});

export const OUTCOMES = /** @type {Record<string, string>} */ ({
  queued: "The build is starting",
  running: "The build is running",
  succeeded: "The build is published",
  failed: "The build failed; the old index is still served",
  interrupted: "The build was interrupted; the index is whole",
  cancelled: "The build was cancelled; the old index is still served",
});

/** @param {Record<string, number>} changes */
export function changesText(changes) {
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

/** @param {AdminDocument} item @param {(item: AdminDocument) => void} onDelete */
export function documentCard(item, onDelete) {
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
    card.append(make("p", { className: "row" }, button("Delete", () => onDelete(item), item.id)));
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
export function findingsBox(findings) {
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

/** Show a report: what changed and what failed first, then the figures. @param {Build} build */
export function showReport(build) {
  const box = part("report", HTMLElement);
  box.replaceChildren(make("h3", { text: OUTCOMES[build.state] ?? build.state }));
  if (build.error) {
    const place = build.error.where ? `${PHASES[build.error.where] ?? build.error.where}: ` : "";
    box.append(make("p", { className: "fault", text: sentences(`${place}${build.error.what}`, build.error.fix) }));
  }
  const { left_out: leftOut, seconds, ...values } = build.report ?? {};
  const more = /** @type {Record<string, number>} */ (leftOut ?? {});
  const entries = Object.entries(values);
  if (entries.length) {
    box.append(make("p", { text: changedText(values, more) }));
  }
  for (const [name, value] of inOrder(entries, LISTS)) {
    if (Array.isArray(value)) {
      box.append(reportList(name, value, more[name] ?? 0));
    }
  }
  const counts = make("dl", { className: "counts" });
  for (const [name, value] of inOrder(entries, FIGURES)) {
    if (!Array.isArray(value)) {
      addCount(counts, FIGURES[name] ?? words(name), figure(name, value));
    }
  }
  for (const [phase, value] of Object.entries(/** @type {Record<string, unknown>} */ (seconds ?? {}))) {
    addCount(counts, `Seconds: ${(PHASES[phase] ?? phase).toLowerCase()}`, Number(value).toFixed(1));
  }
  if (counts.childElementCount) {
    box.append(counts);
  }
  box.focus();
}

/** Write one figure as a person reads it. @param {string} name @param {unknown} value */
function figure(name, value) {
  if (name === "peak_memory_bytes") {
    return size(Number(value));
  }
  if (name === "dense" && value && typeof value === "object") {
    const { index, recall_at_10: recall } = /** @type {Record<string, unknown>} */ (value);
    return index === "exact" ? "exact" : `${index}, finds ${(100 * Number(recall)).toFixed(1)} % of the ten nearest`;
  }
  return value;
}

/** The names of lists and figures, in the order in which a person wants to know. */
const LISTS = /** @type {Record<string, string>} */ ({
  failures: "Could not be read",
  added: "Added",
  changed: "Changed",
  moved: "Moved",
  removed: "Withdrawn",
  warnings: "Read with a warning",
  ignored: "Left alone: no reader takes that kind",
});

const FIGURES = /** @type {Record<string, string>} */ ({
  n_documents: "Documents",
  n_passages: "Passages",
  n_sentences: "Sentences",
  n_unchanged: "Documents unchanged",
  n_read: "Files read",
  n_embedded: "Passages embedded",
  n_reused: "Passages embedded before",
  dense: "Search by meaning",
  embedding_passages_per_s: "Passages embedded per second",
  peak_memory_bytes: "Most memory used",
  snapshot_id: "Published state",
  previous_id: "State before",
});

/**
 * Put what is known into the order of its names, before what is not.
 * @param {[string, unknown][]} entries @param {Record<string, string>} names
 */
function inOrder(entries, names) {
  const order = Object.keys(names);
  /** @param {string} name */
  const place = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  return [...entries].sort(([a], [b]) => place(a) - place(b));
}

/** @param {Record<string, unknown>} report @param {Record<string, number>} more */
function changedText(report, more) {
  const kinds = /** @type {Record<string, string>} */ ({
    added: "added",
    changed: "changed",
    moved: "moved",
    removed: "withdrawn",
    failures: "not readable",
  });
  const told = Object.entries(kinds).map(([name, word]) => {
    const listed = report[name];
    const n = (Array.isArray(listed) ? listed.length : 0) + (more[name] ?? 0);
    return n ? `${n} ${word}` : "";
  });
  return `Documents: ${told.filter(Boolean).join(", ") || "none changed"}.`;
}

/** @param {HTMLElement} list @param {string} name @param {unknown} value */
function addCount(list, name, value) {
  const text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "");
  if (text) {
    list.append(make("div", {}, make("dt", { text: name }), make("dd", { text })));
  }
}

/** @param {string} name @param {unknown[]} values @param {number} more */
function reportList(name, values, more) {
  if (values.length === 0) {
    return document.createDocumentFragment();
  }
  const told = values.map((value) => (name === "moved" ? [value].flat().join(" → ") : entry(value)));
  const list = make("ul", { className: "small" }, ...told.map((text) => make("li", { text })));
  if (more) {
    list.append(make("li", { text: `and ${more} more` }));
  }
  const box = document.createElement("details");
  // What went wrong is seen without another click.
  box.open = name === "failures" || values.length <= 5;
  box.append(make("summary", { text: `${LISTS[name] ?? words(name)}: ${values.length + more}` }), list);
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

/** @param {Snapshot} snapshot @param {(snapshot: Snapshot) => void} onRollBack */
export function snapshotItem(snapshot, onRollBack) {
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
    item.append(button("Go back to this state", () => onRollBack(snapshot), snapshot.id));
  }
  return item;
}

/** Those of index/build.py, in its order. */
const PHASES = /** @type {Record<string, string>} */ ({
  read: "Reading documents",
  split: "Cutting passages",
  embed: "Embedding passages",
  write: "Writing the index",
  link: "Finding where old links lead",
  seal: "Sealing the new state",
  verify: "Proving every quote",
  gate: "Asking the test questions",
  publish: "Publishing",
  tidy: "Clearing up",
});

export const UNDER_WAY = ["queued", "running"];

/** @param {string} id @returns {UploadRow} */
export function uploadRow(id) {
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${id}`);
  const result = make("p", { text: "Waiting" });
  const item = make("li", {}, make("strong", { text: id }), bar, result);
  part("uploads", HTMLElement).append(item);
  return { id, item, bar, result };
}

/** @param {UploadRow} row @param {string} text @param {boolean} isGood */
export function settle(row, text, isGood) {
  row.bar.remove();
  row.result.textContent = text;
  row.result.className = isGood ? "" : "fault";
  return isGood;
}

/** @param {Build} build */
export function showProgress(build) {
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

/** @param {Build} build @param {(build: Build) => void} onReport */
export function buildItem(build, onReport) {
  const told = make("span", { text: `${when(build.created_at)}: ${OUTCOMES[build.state] ?? build.state}` });
  return make("li", {}, make("p", { className: "row" }, told, button("Report", () => onReport(build), build.id)));
}
