/** How a client reaches the database: plain TCP, TLS with its own certificate, or the agent's socket. */
export interface Door {
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** PEM files of the client's SVID and of the authorities it trusts. */
  readonly tls: { readonly cert: string; readonly key: string; readonly roots: string } | undefined;
  /** Folder of the Unix socket; then there is no TCP. */
  readonly socketDir: string | undefined;
}

/** The same for programs on libpq. */
export function libpqEnv(door: Door): Record<string, string> {
  return {
    PGHOST: door.socketDir ?? '127.0.0.1',
    PGPORT: String(door.port),
    PGDATABASE: door.database,
    PGUSER: door.user,
    PGGSSENCMODE: 'disable',
    ...(door.tls === undefined
      ? { PGSSLMODE: 'disable' }
      : {
          PGSSLMODE: 'verify-ca',
          PGSSLCERT: door.tls.cert,
          PGSSLKEY: door.tls.key,
          PGSSLROOTCERT: door.tls.roots,
        }),
  };
}
