import { messageOf } from '../../std/index.ts';
import { type CliCommand, exitCodes, UsageError } from '../command.ts';
import { firstReached } from '../connections/first-reached.ts';
import { parseServers } from '../connections/with-rest.ts';
import { readLogin, removeLogin } from '../people/login-file.ts';
import { postForm } from '../people/post-form.ts';

export const command: CliCommand = {
  summary: 'End the login of this computer, there and here.',
  examples: ['countersign logout'],
  async run(context) {
    const login = await readLogin(context).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      // It says neither where nor by what anybody is logged in; whoever wants to be out is.
      context.warn(`what was kept was no login: nobody could be told, and one that was there ends by itself`);
      return 'broken' as const;
    });
    if (login === 'broken') {
      await removeLogin(context);
      context.emit({ loggedOut: true }, () => 'logged out');
      return exitCodes.unavailable;
    }
    if (login === undefined) {
      context.emit({ loggedOut: false }, () => 'nobody is logged in');
      return exitCodes.ok;
    }
    const { server, token, ca } = login;
    let exitCode: number = exitCodes.ok;
    try {
      const place = { ...(await firstReached(parseServers(server), context.signal)), ca };
      const { status } = await postForm(place, { path: '/sign-in/out', form: {}, token, signal: context.signal });
      if (status !== 200) throw new Error(`it answers ${status}`);
    } catch (error) {
      // Here it ends all the same; there it does by itself.
      context.warn(
        `${server} could not be told (${messageOf(error)}): the login there ends ${new Date(login.endsMs).toISOString()} at the latest`,
      );
      exitCode = exitCodes.unavailable;
    }
    await removeLogin(context);
    context.emit({ loggedOut: true, server }, () => `logged out of ${server}`);
    return exitCode;
  },
};
