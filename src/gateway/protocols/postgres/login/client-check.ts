import { codeOf } from '../../../../std/index.ts';
import { type LoginOptions, openUpstream, type Upstream, type UpstreamDeps } from './upstream.ts';

/** What a target has shown of itself. */
export interface ClientCheck {
  /** A login failed for the setting: the server is older than version 14, or a pooler stands before it. */
  isRefused: boolean;
}

/**
 * Logs in so that the server looks, while a statement runs, whether the gateway is still there: one that was killed can't cancel what it
 * has begun. Given at start-up, so that RESET and DISCARD leave it in force; a client's own value goes before it.
 */
export async function openChecked(deps: UpstreamDeps, options: LoginOptions, check: ClientCheck): Promise<Upstream> {
  const { parameters } = options;
  if (check.isRefused || parameters.some(([name]) => name === SETTING)) return openUpstream(deps, options);
  try {
    return await openUpstream(deps, { ...options, parameters: [...parameters, [SETTING, INTERVAL]] });
  } catch (error) {
    if (!(error instanceof Error) || !OF_THE_SETTING.has(codeOf(error.cause) ?? '')) throw error;
    // It may be of another setting of the client's: then this fails as well, and says so.
    const upstream = await openUpstream(deps, options);
    check.isRefused = true;
    return upstream;
  }
}

const SETTING = 'client_connection_check_interval';
/** Costs the server one poll of the socket each time, and only while it is busy. */
const INTERVAL = '5s';
/** Unknown; not supported by its system; refused by a pooler. */
const OF_THE_SETTING: ReadonlySet<string> = new Set(['42704', '22023', '08P01']);
