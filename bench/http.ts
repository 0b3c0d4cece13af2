/**
 * The gateway for HTTP beside nginx, Caddy and a bare proxy of Node's own HTTP: `npm run bench -- http [--quick] [--json] [--only CASE,…]`.
 *
 * All do the same: TLS 1.3 with a client certificate that is verified, HTTP/1.1 to one nginx over connections that are kept, a field
 * Authorization added, and each request noted: by them in an access log, by the gateway in its ledger, with policy asked before. `direct` is that
 * nginx without anything between. Cases, for `--only`:
 *
 * - `small-1`, `small-8`, `small-32`: GETs of 200 bytes by so many connections, over a thousand paths; `small` is all of them and the next.
 * - `fresh-8`: the same by 8 connections over twenty thousand paths, so that policy is asked of each.
 * - `handshakes`: a new connection for each such GET, none resumed.
 * - `json`: 100 kB of JSON; `json-masked`: the same, two fields of each of its elements masked by the gateway.
 * - `download`: a file of 200 MB, again and again.
 *
 * On a machine that does other things as well, CPU per request is the figure that counts: all threads of the proxy's processes.
 *
 * Needs Debian's `nginx-light`; `caddy` is left out where it is missing. How a gateway is profiled stands in `gateway-postgres.ts`.
 */
import { existsSync } from 'node:fs';
import type { Bench } from './harness.ts';
import { measuredCases, wantedCases } from './http/cases.ts';
import { startHttpBed } from './http/http-bed.ts';
import { NGINX } from './http/nginx.ts';

export const bench: Bench = {
  name: 'http',
  summary: 'the gateway for HTTP, with policy, masks and ledger, against nginx and Caddy with TLS',
  heavy: true,
  async run(context) {
    if (!existsSync(NGINX)) throw new Error('nginx is missing: apt-get install nginx-light');
    if (wantedCases(context).length === 0) throw new Error('no such case; the head of bench/http.ts lists them');
    const bed = await startHttpBed(context);
    try {
      return await measuredCases(bed, context);
    } catch (error) {
      context.say(bed.stack.roles.gateway.logs().slice(-LOG_SHOWN));
      throw error;
    } finally {
      await bed.stop();
    }
  },
};

const LOG_SHOWN = 2000;
