/** An annotation that means nothing; the loader adds policy and place. `annotation`: which one, where it can be told; `help`: what to do about it. */
export class AnnotationError extends Error {
  readonly annotation: string | undefined;
  readonly help: string | undefined;

  constructor(message: string, about: { readonly annotation?: string; readonly help?: string } = {}) {
    super(message);
    this.annotation = about.annotation;
    this.help = about.help;
  }
}
