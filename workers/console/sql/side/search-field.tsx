/** Narrows a list down to what has the words; its label is for who cannot see the placeholder. */
export interface SearchFieldProps {
  readonly label: string;
  readonly value: string;
  onInput(value: string): void;
}

export function SearchField({ label, value, onInput }: SearchFieldProps) {
  return (
    <label>
      <span class="hidden">{label}</span>
      <input type="search" placeholder={label} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}
