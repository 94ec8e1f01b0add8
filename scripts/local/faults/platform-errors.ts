/**
 * Failures as the platform words and marks them. Of a call to an object, workerd marks a lost connection as `retryable`,
 * one that was refused for load as `overloaded`, and never both; what the object's own code threw is `remote`.
 */

/** What `before` and `after` throw: the caller cannot tell one from the other. */
export function lostConnection(area: string): Error {
  switch (area) {
    case "queue":
      return new Error("Queue send failed: Internal Server Error (injected)");
    case "r2":
      return new Error("We encountered an internal error. Please try again. (10001) (injected)");
    default:
      return Object.assign(new Error("Network connection lost. (injected)"), { retryable: true });
  }
}

export function overload(area: string): Error {
  switch (area) {
    case "queue":
      return new Error("Queue send failed: Too Many Requests (injected)");
    case "r2":
      return new Error("Reduce your concurrent request rate for the same object. (10058) (injected)");
    default:
      return Object.assign(new Error("Durable Object is overloaded. Requests queued for too long. (injected)"), {
        overloaded: true,
      });
  }
}
