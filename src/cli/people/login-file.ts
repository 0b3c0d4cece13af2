import { join } from 'node:path';
import { openPrivateFolder, readPrivateFile, removePrivateFile, writePrivateFile } from '../../private-files/index.ts';
import { type CliContext, UsageError } from '../command.ts';

/** What `login` keeps for the commands after it, in a file that nobody else reads. */
export interface Login {
  /** `host:port`, or several with commas between them: all that it is good at. */
  readonly server: string;
  /** Certificates in PEM that the server's is held against; absent: those of the machine. */
  readonly ca?: string;
  readonly token: string;
  readonly endsMs: number;
  /** For people: e-mail or subject. */
  readonly name: string;
}

/**
 * The login that is kept, if there is one. @throws PrivateFileError when others could read or change it; UsageError when it is no login: who meant to
 * act as themselves does not act as somebody else for that
 */
export async function readLogin(context: Pick<CliContext, 'env'>): Promise<Login | undefined> {
  const path = loginPath(context);
  const bytes = path === undefined ? undefined : await readPrivateFile(path, { bytesMax: LOGIN_BYTES_MAX });
  if (bytes === undefined) return undefined;
  const given = jsonIn(bytes);
  if (isLogin(given)) return given;
  throw new UsageError(
    `${path} is no login that \`countersign login\` has kept: log in again, or \`countersign logout\` to act as the operator of this machine`,
  );
}

/** @throws UsageError where there is no place for it; PrivateFileError */
export async function writeLogin(context: Pick<CliContext, 'env' | 'random'>, login: Login): Promise<string> {
  const path = loginPath(context);
  if (path === undefined) throw new UsageError('there is no place for the login: set $XDG_CONFIG_HOME or $HOME');
  openPrivateFolder(join(path, '..'));
  await writePrivateFile(path, Buffer.from(JSON.stringify(login)), context.random);
  return path;
}

export async function removeLogin(context: Pick<CliContext, 'env'>): Promise<void> {
  const path = loginPath(context);
  if (path !== undefined) await removePrivateFile(path);
}

function loginPath({ env }: Pick<CliContext, 'env'>): string | undefined {
  const { XDG_CONFIG_HOME: config, HOME: home } = env;
  const folder = config !== undefined && config !== '' ? config : home && join(home, '.config');
  return folder === undefined || folder === '' ? undefined : join(folder, 'countersign', 'login.json');
}

function isLogin(given: unknown): given is Login {
  if (typeof given !== 'object' || given === null) return false;
  const { server, token, endsMs, name, ca } = given as Partial<Record<keyof Login, unknown>>; // Each is looked at.
  const isText = [server, token, name].every((one) => typeof one === 'string' && one !== '');
  return isText && Number.isSafeInteger(endsMs) && (ca === undefined || typeof ca === 'string');
}

/** Undefined when it is none. */
function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

const LOGIN_BYTES_MAX = 1024 * 1024;
