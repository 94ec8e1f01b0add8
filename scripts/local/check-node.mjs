/** Plain JavaScript for any Node: says what is wrong where the scripts after it would not even parse. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `eventpile: this is Node ${process.versions.node}, and 22.18 is needed. The package "node" brings a newer one into ` +
      "node_modules/.bin: run npm ci (without --ignore-scripts), then start with npm start.",
  );
  process.exit(1);
}
