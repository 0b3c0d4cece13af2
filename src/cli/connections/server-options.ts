/** Options of every command that talks to the server. */
export const serverOptions = [
  [
    '--socket <path>',
    "the server's operator socket (default: as the login says, else from the configuration, else /run/countersign/server/server.sock)",
  ],
  [
    '--server <host:port,…>',
    'talk to a server elsewhere, over mutual TLS, or to the first of several that answers; needs --identity',
  ],
  [
    '--identity <dir>',
    'folder with svid.pem, key.pem and bundle.pem of an admin identity (countersign svid fetch --dir)',
  ],
] as const;

/** How long one administrative call may take. */
export const CALL_TIMEOUT_MS = 30_000;
