import { readTrustedFile } from '../../private-files/index.ts';
import { type CliCommand, exitCodes, flagOption, requiredOption, textOption, UsageError } from '../command.ts';
import { firstReached } from '../connections/first-reached.ts';
import { parseServers } from '../connections/with-rest.ts';
import { loginByBrowser, loginByDevice } from '../people/log-in.ts';
import { writeLogin } from '../people/login-file.ts';

export const command: CliCommand = {
  summary: 'Log in at a server as yourself, by a browser.',
  options: [
    ['--server <host:port,…>', 'where the server serves REST; of several, the first that is reached'],
    ['--ca <file>', "CA certificates in PEM that the server's is held against (default: those of this machine)"],
    ['--device', 'show a code to type into a browser elsewhere, where this computer has none'],
  ],
  examples: [
    'countersign login --server countersign.corp.example:8443',
    'countersign login --server countersign.corp.example:8443 --device',
    'countersign login --server one.corp.example:8443,two.corp.example:8443',
  ],
  async run(context, input) {
    const server = requiredOption(input, 'server');
    const file = textOption(input, 'ca');
    const ca = file === undefined ? undefined : certificatesOf(file);
    const place = { ...(await firstReached(parseServers(server), context.signal)), ca };
    const login = flagOption(input, 'device') ? loginByDevice : loginByBrowser;
    const { token, endsMs, name } = await login(context, place);
    const path = await writeLogin(context, { server, token, endsMs, name, ...(ca === undefined ? {} : { ca }) });
    const ends = new Date(endsMs).toISOString();
    context.emit({ server, name, ends, path }, () => `logged in at ${server} as ${name} until ${ends}`);
    return exitCodes.ok;
  },
};

/** @throws UsageError */
function certificatesOf(file: string): string {
  const bytes = readTrustedFile(file, { bytesMax: CA_BYTES_MAX });
  if (bytes === undefined) throw new UsageError(`there is no file ${file}`);
  return bytes.toString('utf8');
}

const CA_BYTES_MAX = 512 * 1024;
