/** A line without axes: which way a figure goes. The figure itself stands beside it, so it is not read aloud. */
interface Line {
  readonly values: readonly number[];
  /** The upper end of the scale at least; what is more stretches it. */
  readonly top?: number;
}

const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ values, top = 0 }: Line) {
  if (values.length < 2) return <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const most = Math.max(top, ...values) || 1;
  const points = values.map((value, i) => {
    const x = (WIDTH * i) / (values.length - 1);
    const y = HEIGHT - 2 - ((HEIGHT - 4) * value) / most;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
