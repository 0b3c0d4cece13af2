/** Debian's Caddy as a peer: HTTP/1.1 alone, without its admin's door. */
import { ownFile, type Peer, type PeerWay, startPeer } from './peer.ts';

export const CADDY = '/usr/bin/caddy';

export function startCaddy({ folder, user, port, upstreamPort, tls, authorization }: PeerWay): Promise<Peer> {
  const upstream = `127.0.0.1:${upstreamPort}`;
  const verified = { mode: 'require_and_verify', trusted_ca_certs_pem_files: [tls.ca] };
  const config = {
    admin: { disabled: true },
    storage: { module: 'file_system', root: folder },
    logging: {
      logs: {
        default: { level: 'ERROR' },
        access: { writer: { output: 'file', filename: `${folder}/access.log` }, include: ['http.log.access'] },
      },
    },
    apps: {
      tls: { certificates: { load_files: [{ certificate: tls.cert, key: tls.key, tags: ['own'] }] } },
      http: {
        servers: {
          api: {
            ...{ listen: [`127.0.0.1:${port}`], protocols: ['h1'], logs: {}, automatic_https: { disable: true } },
            // An SVID has no DNS name to be chosen by.
            tls_connection_policies: [
              {
                ...{ protocol_min: 'tls1.3', client_authentication: verified },
                certificate_selection: { any_tag: ['own'] },
              },
            ],
            routes: [
              {
                handle: [
                  {
                    ...{ handler: 'reverse_proxy', upstreams: [{ dial: upstream }] },
                    headers: { request: { set: { Authorization: [authorization] } } },
                    transport: { protocol: 'http', keep_alive: { max_idle_conns_per_host: 64 } },
                  },
                ],
              },
            ],
          },
        },
      },
    },
  };
  const file = ownFile(folder, user, { name: 'caddy.json', text: JSON.stringify(config) });
  const args = ['run', '--config', file];
  return startPeer({ name: 'caddy', file: CADDY, args, env: { HOME: folder }, user, port });
}
