// A list of any length, of which only the rows in view are in the document. All rows are equally
// high; elements are used again.
const AROUND = 8; // rows above and below the view

export class List {
  #box;
  #inner = document.createElement("div");
  #rows = []; // elements, that of row i at i % length
  #n = 0;
  #isDue = false;
  #onView;

  // render(element, i) fills an element in; onView(first, end) is told what came into view.
  constructor(box, height, render, onView) {
    this.#box = box;
    this.height = height;
    this.render = render;
    this.#onView = onView;
    this.#inner.className = "rows";
    box.append(this.#inner);
    box.addEventListener("scroll", () => this.refresh(), { passive: true });
    new ResizeObserver(() => this.refresh()).observe(box);
  }

  set length(n) {
    this.#n = n;
    this.#inner.style.height = `${n * this.height}px`;
    this.refresh();
  }
  get length() { return this.#n; }

  // Before the next frame.
  refresh() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  get inView() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(Math.floor(scrollTop / this.height) - AROUND, 0);
    return [first, Math.min(Math.ceil((scrollTop + clientHeight) / this.height) + AROUND, this.#n)];
  }

  // The element of a row in view.
  at(i) {
    const row = this.#rows[i % this.#rows.length];
    return row?.index === i && !row.hidden ? row : undefined;
  }

  #draw() {
    const [first, end] = this.inView;
    while (this.#rows.length < end - first) {
      this.#inner.append(document.createElement("div"));
      this.#rows = [...this.#inner.children]; // all are placed anew below
    }
    for (const row of this.#rows) row.index = -1;
    for (let i = first; i < end; i++) {
      const row = this.#rows[i % this.#rows.length];
      row.index = i;
      row.style.transform = `translateY(${i * this.height}px)`;
      this.render(row, i);
    }
    for (const row of this.#rows) row.hidden = row.index < 0;
    this.#onView?.(first, end);
  }

  reveal(i) {
    const { scrollTop, clientHeight } = this.#box;
    const top = i * this.height;
    if (top < scrollTop) this.#box.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.#box.scrollTop = top + this.height - clientHeight;
    this.refresh();
  }
}
