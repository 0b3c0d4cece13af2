/**
 * The link between agent and gateway: what an agent says before it carries a client's bytes, and what the gateway answers. Behind a yes, the
 * bytes are the target's protocol, both ways.
 *
 * It promises that each version that is out there is read as it was meant, that what can't be read is told from what is incomplete, and that
 * no text is longer than its limit or more than one line. It must not know who may open what: all that stands here but the target's name is told, not proven.
 */
export { encodeLinkAnswer, type LinkAnswer, parseLinkAnswer } from './answer.ts';
export { encodeLinkPreface, type LinkCaller, type LinkPreface, parseLinkPreface } from './preface.ts';
export { type LinkVersion, linkAlpn, linkVersionOf } from './version.ts';
