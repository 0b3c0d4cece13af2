import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Make a link that signs one person in, once, within a quarter of an hour.',
  options: restOptions,
  examples: ['sudo countersign sign-in link'],
  verbatim: true,
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('sign-in-link.create', {}, { signal }));
    if (output.url === undefined)
      context.warn('warning: no browser reaches this server: configure server.api, with url or dnsName');
    context.emit(output, () => output.url ?? output.secret);
    return exitCodes.ok;
  },
};
