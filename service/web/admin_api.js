// @ts-check
/**
 * Calling the routes under /v1/admin. The token lives in one variable here and nowhere else; nothing is shown from here.
 */

import { sentences } from "./admin_dom.js";

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
/** @typedef {{id: string, item: HTMLElement, bar: HTMLProgressElement, result: HTMLElement}} UploadRow */

let token = "";
/** What to do when the service no longer takes the token. */
let whenRefused = () => {};

/** @param {string} given "" forgets it */
export function setToken(given) {
  token = given;
}

export function hasToken() {
  return token !== "";
}

/** @param {() => void} act */
export function onRefusal(act) {
  whenRefused = act;
}

/** A request that the service refused; `problem` is null when it was not reached. */
export class Refused extends Error {
  /** @param {Problem | null} problem @param {number} status */
  constructor(problem, status) {
    super(problem ? sentences(problem.detail, problem.fix) : "The service could not be reached. Check the connection.");
    this.problem = problem;
    this.status = status;
  }
}

/** @param {string} id */
export function address(id) {
  return `/v1/admin/documents/${id.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Call the service.
 * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, headers = {}) {
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
      whenRefused();
    }
    throw new Refused(value, response.status);
  }
  return value;
}

/**
 * Send by XMLHttpRequest, which alone tells how much has gone out.
 * @param {File} file @param {UploadRow} row @param {Record<string, string>} headers
 * @returns {Promise<{status: number, value: any}>}
 */
export function send(file, row, headers) {
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

/**
 * Read server-sent events by fetch: EventSource can't send a token.
 * @param {Build} build @param {AbortSignal} signal @returns {AsyncGenerator<Build>}
 */
export async function* events(build, signal) {
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
