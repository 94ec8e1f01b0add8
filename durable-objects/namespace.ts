/**
 * A binding to objects by what they can be asked, instead of by their class: callers need not import the class, and
 * a test may hand in its own. Every DurableObjectNamespace whose class implements `Api` fits.
 */
export interface ObjectNamespace<Api> {
  getByName(name: string): Api;
}
