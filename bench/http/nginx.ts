/** Debian's nginx, one worker: as the upstream of all, and as a peer. */
import type { User } from '../../test/support/processes.ts';
import { ownFile, type Peer, type PeerWay, startPeer } from './peer.ts';

export const NGINX = '/usr/sbin/nginx';

/** Answers below `/v1/items/` with that text, and else with the files of `root`. */
export function startUpstream(options: {
  readonly folder: string;
  readonly user: User;
  readonly port: number;
  readonly root: string;
  readonly item: string;
}): Promise<Peer> {
  const { port, root, item } = options;
  return startNginx(options, [
    'access_log off;',
    'default_type application/json;',
    `server { listen 127.0.0.1:${port} backlog=511; root ${root};`,
    `location /v1/items/ { return 200 '${item}'; }`,
    '}',
  ]);
}

/** The peer: verifies the client, adds its field, logs as it does by default, and keeps its connections. */
export function startNginxProxy(way: PeerWay): Promise<Peer> {
  const { port, upstreamPort, tls, authorization, folder } = way;
  return startNginx(way, [
    `access_log ${folder}/access.log;`,
    `upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests ${REQUESTS_MAX}; }`,
    `server { listen 127.0.0.1:${port} ssl backlog=511;`,
    `ssl_protocols TLSv1.3; ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};`,
    `ssl_client_certificate ${tls.ca}; ssl_verify_client on; ssl_verify_depth 4;`,
    'location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";',
    // What is not taken at once is read later, as the gateway does, and not put on a disk.
    `proxy_set_header Authorization "${authorization}"; proxy_max_temp_file_size 0; }`,
    '}',
  ]);
}

function startNginx(
  { folder, user, port }: { readonly folder: string; readonly user: User; readonly port: number },
  http: readonly string[],
): Promise<Peer> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const text = [
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr;`,
    'events { worker_connections 4096; }',
    'http {',
    ...temporary.map((name) => `${name}_temp_path ${folder}/${name};`),
    `sendfile on; tcp_nopush on; keepalive_timeout 1h; keepalive_requests ${REQUESTS_MAX};`,
    ...http,
    '}',
  ];
  const file = ownFile(folder, user, { name: 'nginx.conf', text: `${text.join('\n')}\n` });
  return startPeer({ name: 'nginx', file: NGINX, args: ['-e', 'stderr', '-p', folder, '-c', file], user, port });
}

/** No connection ends within a window. */
const REQUESTS_MAX = 1_000_000_000;
