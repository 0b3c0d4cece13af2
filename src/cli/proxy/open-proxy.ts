import { join } from 'node:path';
import type { CliContext } from '../command.ts';
import { UsageError } from '../command.ts';
import { type Door, openDoor } from '../door/open-door.ts';
import { createTellRefusal } from '../door/refusals.ts';
import { createReach, METADATA } from './destinations.ts';
import { createLateTarget, type ProxiedHosts, readHosts } from './hosts.ts';
import { javaNoProxyOf, noProxyOf } from './no-proxy.ts';
import { createRunAuthority } from './run-authority.ts';
import { createProxy } from './serve-proxy.ts';
import { openTrustFiles, type TrustFiles } from './trust-files.ts';

/** A proxy for one command, and how its clients are told of it. Whoever opened it closes it, when the command has ended. */
export interface RunProxy {
  readonly door: Door;
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/**
 * Opens it: the hosts that the targets list go to them; `others`: where the rest goes. @throws UsageError where no target lists a host, or another proxy is set
 * that others would have to go by; Error of the system when there is no address or no folder
 */
export async function openProxy(
  context: CliContext,
  options: {
    readonly directory: string;
    readonly targets: readonly string[];
    readonly preferred: string | undefined;
    readonly others: 'pass' | 'refuse';
  },
): Promise<RunProxy> {
  const { clock, random, warn, env } = context;
  const { directory, others } = options;
  const hosts = readHosts(directory, options.targets, options.preferred);
  checkUse(hosts, { env, others, directory });
  const names = [...hosts.byHost.keys(), ...hosts.shared.keys()];
  const authority = createRunAuthority({ hosts: [...hosts.byHost.keys()], clock, random });
  const trust = authority && openTrustFiles({ rootDer: authority.rootDer, env, clock, warn });
  const reach = others === 'pass' ? createReach() : undefined;
  try {
    const door = await openDoor({
      socket: join(directory, 'TARGET', 'http.sock'),
      receive: createProxy({
        ...{ hosts, authority, reach, clock, tell: createTellRefusal({ clock, warn }) },
        lateTarget: createLateTarget(directory, clock),
      }),
      connectionsMax: CONNECTIONS_MAX,
      ...{ clock, warn },
    });
    return {
      door,
      variables: variablesOf({ door, trust, names, others }, context),
      async close() {
        await door.close();
        trust?.close();
      },
    };
  } catch (error) {
    trust?.close();
    throw error;
  }
}

function checkUse(
  hosts: ProxiedHosts,
  { env, others, directory }: { env: CliContext['env']; others: 'pass' | 'refuse'; directory: string },
): void {
  if (hosts.byHost.size === 0 && hosts.shared.size === 0)
    throw new UsageError(
      `no target in ${directory} lists a host: give hosts to one of protocol http, and apply it; or run the command without --proxy`,
    );
  const set = PROXY_VARIABLES.find((name) => (env[name] ?? '') !== '');
  if (others === 'pass' && set !== undefined)
    throw new UsageError(
      `${set} names a proxy already, and what is no target's would not go there any more: unset it if the machine does without, or add --proxy-others refuse`,
    );
}

function variablesOf(
  made: {
    readonly door: Door;
    readonly trust: TrustFiles | undefined;
    readonly names: readonly string[];
    readonly others: 'pass' | 'refuse';
  },
  { env, warn }: CliContext,
): Record<string, string> {
  const { host, port } = made.door.address;
  const address = `http://${host}:${port}`;
  const near =
    made.others === 'pass' ? [...NEAR, ...METADATA.filter((address) => !made.names.includes(address))] : NEAR;
  const written = env['no_proxy'] || env['NO_PROXY'];
  const { value, dropped } = noProxyOf(written, made.names, near);
  if (dropped.length > 0)
    warn(
      `countersign: NO_PROXY has lost ${dropped.join(', ')} for the command: hosts of targets would have been excluded by it`,
    );
  return {
    ...Object.fromEntries(PROXY_VARIABLES.map((name) => [name, address])),
    ...{ NO_PROXY: value, no_proxy: value, NODE_USE_ENV_PROXY: '1' },
    ...made.trust?.variables,
    ...javaVariables({ host, port, trustStore: made.trust?.trustStore, noProxy: javaNoProxyOf(value) }, { env, warn }),
  };
}

/** Java goes by properties alone. What a user has set of these stays. */
function javaVariables(
  {
    host,
    port,
    trustStore,
    noProxy,
  }: {
    readonly host: string;
    readonly port: number;
    readonly trustStore: string | undefined;
    readonly noProxy: string;
  },
  { env, warn }: Pick<CliContext, 'env' | 'warn'>,
): Record<string, string> {
  const before = env['JAVA_TOOL_OPTIONS'] ?? '';
  const taken = /-D(https?\.proxyHost|javax\.net\.ssl\.trustStore)=/.exec(before)?.[1];
  // Java splits them at blanks.
  if (taken !== undefined || /\s/.test(trustStore ?? '')) {
    const why = taken === undefined ? 'the folder of temporary files has a blank in its name' : `it sets ${taken}`;
    warn(`countersign: JAVA_TOOL_OPTIONS stays as it is, since ${why}: programs in Java do not use the proxy`);
    return {};
  }
  const options = [
    ...['http', 'https'].flatMap((scheme) => [`-D${scheme}.proxyHost=${host}`, `-D${scheme}.proxyPort=${port}`]),
    // For both schemes. Without it Java would ask the proxy for the metadata of a cloud.
    ...(/-Dhttp\.nonProxyHosts=/.test(before) ? [] : [`-Dhttp.nonProxyHosts=${noProxy}`]),
    ...(trustStore === undefined
      ? []
      : [`-Djavax.net.ssl.trustStore=${trustStore}`, '-Djavax.net.ssl.trustStoreType=PKCS12']),
  ];
  return { JAVA_TOOL_OPTIONS: [before, ...options].filter((option) => option !== '').join(' ') };
}

const PROXY_VARIABLES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];
/** Clients go there by themselves: servers of the same machine, and the address of COUNTERSIGN_URL. */
const NEAR = ['localhost', '127.0.0.1', '::1'];
/** Each takes three descriptors and, with TLS, a tenth of a megabyte. */
const CONNECTIONS_MAX = 1_024;
