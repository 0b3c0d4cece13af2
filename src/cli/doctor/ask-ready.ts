/** What `/ready` of a role answers there: its status, and its body as JSON. @throws the error of the socket, of the timeout, or SyntaxError */
export function askReady({
  host,
  port,
  timeoutMs,
}: {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}): Promise<{ readonly status: number; readonly body: unknown }> {
  // Loading `fetch`, or importing this, takes a fifth of what this command does.
  const { get } = process.getBuiltinModule('node:http');
  const signal = AbortSignal.timeout(timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
  const fail = (error: Error) => reject(signal.aborted ? signal.reason : error);
  const request = get({ host, port, path: '/ready', agent: false, signal }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => {
      text += chunk;
      if (text.length > ANSWER_CHARS_MAX) request.destroy(new Error('its answer is too long'));
    });
    response.on('error', fail);
    response.once('end', () => {
      try {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
      } catch (error) {
        reject(error);
      }
    });
  });
  request.on('error', fail);
  return promise;
}

/** Some hundred times what a role with every condition says. */
const ANSWER_CHARS_MAX = 4 * 1024 * 1024;
