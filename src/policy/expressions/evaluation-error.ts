/** An expression has no value: wrong type, missing attribute, overflow. Never leaves the feature; `decide` counts it, `explain` shows it. */
export class EvaluationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EvaluationError';
  }
}
