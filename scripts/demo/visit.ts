/**
 * One visit to the shop, call by call as Segment's libraries would make them: pages (screens in the app), products
 * viewed and added, a checkout that some finish, a sign-in that tells who the device was all along.
 */
import type { Random } from "./random.ts";
import { type Arrival, CATEGORIES, PRODUCTS, type Product, SEARCHES, SHOP } from "./shop.ts";
import type { Visitor } from "./visitor.ts";

export interface Call {
  readonly type: "page" | "screen" | "track" | "identify";
  readonly name?: string;
  readonly event?: string;
  readonly path: string;
  readonly title?: string;
  readonly referrer?: string;
  readonly search?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly traits?: Readonly<Record<string, unknown>>;
}

/** A call and how long the visitor took before it, in ms. */
export type Step = readonly [waitMs: number, call: Call];

const THINK_MS = 7_000;
const FIRST_NAMES = ["Ada", "Bo", "Chen", "Dana", "Emil", "Fatou", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena"];

export function* visit(visitor: Visitor, arrival: Arrival, random: Random): Generator<Step> {
  visitor.visits++;
  const walk = new Walk(visitor, arrival, random);
  if (random.chance(0.6)) yield* walk.page("/", "Home");
  else yield* walk.view(random.popular(PRODUCTS));
  if (random.chance(0.3)) return; // Many only look in.
  if (visitor.visits > 1 && !visitor.signedIn && random.chance(0.25)) yield* walk.signIn("/login");
  const looks = random.int(1, 7);
  for (let look = 0; look < looks; look++) {
    if (random.chance(0.15)) yield* walk.search();
    else if (random.chance(0.5)) yield* walk.browse();
    const product = random.popular(PRODUCTS);
    yield* walk.view(product);
    if (random.chance(0.28)) yield* walk.add(product);
  }
  if (visitor.cart.length > 0 && random.chance(0.6)) yield* walk.checkout();
}

class Walk {
  readonly #visitor: Visitor;
  readonly #arrival: Arrival;
  readonly #random: Random;
  #path: string | null = null;

  constructor(visitor: Visitor, arrival: Arrival, random: Random) {
    this.#visitor = visitor;
    this.#arrival = arrival;
    this.#random = random;
  }

  *page(path: string, title: string, search = ""): Generator<Step> {
    const first = this.#path === null;
    const referrer = first ? this.#arrival.referrer : `${SHOP.origin}${this.#path}`;
    const campaign = first && this.#arrival.campaign;
    const query = campaign
      ? `?utm_source=${campaign.source}&utm_medium=${campaign.medium}&utm_campaign=${campaign.name}`
      : search;
    this.#path = path;
    const inApp = this.#visitor.device.kind === "app";
    yield [
      first ? 0 : this.#random.wait(THINK_MS),
      inApp
        ? { type: "screen", name: title, path, properties: { name: title } }
        : { type: "page", name: title, path, title: `${title} · ${SHOP.name}`, referrer, search: query },
    ];
  }

  *browse(): Generator<Step> {
    const category = this.#random.popular(CATEGORIES);
    yield* this.page(`/c/${category}`, category[0]!.toUpperCase() + category.slice(1));
    yield this.#track("Product List Viewed", { category, list_id: category }, 400);
  }

  *search(): Generator<Step> {
    const query = this.#random.pick(SEARCHES);
    yield* this.page("/search", "Search", `?q=${encodeURIComponent(query)}`);
    yield this.#track("Products Searched", { query }, 300);
  }

  *view(product: Product): Generator<Step> {
    yield* this.page(`/p/${product.product_id}`, product.name);
    yield this.#track("Product Viewed", { ...product, currency: SHOP.currency }, 250);
  }

  *add(product: Product): Generator<Step> {
    this.#visitor.cart.push(product.product_id);
    yield this.#track(
      "Product Added",
      { ...product, quantity: 1, currency: SHOP.currency },
      this.#random.wait(THINK_MS),
    );
    if (this.#random.chance(0.08)) {
      this.#visitor.cart.pop();
      yield this.#track("Product Removed", { ...product, quantity: 1 }, this.#random.wait(THINK_MS));
    }
  }

  *signIn(path: string): Generator<Step> {
    const { userId, place } = this.#visitor;
    yield* this.page(path, "Sign in");
    this.#visitor.signedIn = true;
    const name = FIRST_NAMES[Number(userId.slice(5)) % FIRST_NAMES.length]!;
    const traits = { name, email: `${name.toLowerCase()}.${userId.slice(5)}@mail.example`, plan: "member" };
    yield [
      this.#random.wait(THINK_MS),
      { type: "identify", path, traits: { ...traits, address: { country: place.country, city: place.city } } },
    ];
  }

  *checkout(): Generator<Step> {
    const random = this.#random;
    yield* this.page("/cart", "Cart");
    const products = this.#visitor.cart.map((id) => PRODUCTS.find((product) => product.product_id === id)!);
    const value = products.reduce((sum, product) => sum + product.price, 0);
    const order_id = `order-${random.hex(10)}`;
    const money = { currency: SHOP.currency, value };
    yield* this.page("/checkout", "Checkout");
    yield this.#track("Checkout Started", { order_id, products, ...money }, 500);
    if (random.chance(0.3)) return;
    if (!this.#visitor.signedIn && random.chance(0.75)) yield* this.signIn("/checkout/account");
    yield this.#track(
      "Payment Info Entered",
      { order_id, payment_method: random.pick(["card", "paypal", "invoice"]) },
      15_000,
    );
    if (random.chance(0.12)) return;
    const shipping = value >= 100 ? 0 : 4.9;
    const revenue = Number((value + shipping).toFixed(2));
    yield this.#track(
      "Order Completed",
      { order_id, products, revenue, shipping, currency: SHOP.currency },
      random.wait(THINK_MS),
    );
    this.#visitor.cart = [];
    yield* this.page("/thank-you", "Thank you");
  }

  #track(event: string, properties: Record<string, unknown>, waitMs: number): Step {
    return [waitMs, { type: "track", event, path: this.#path ?? "/", properties }];
  }
}
