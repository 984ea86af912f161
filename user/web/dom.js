// SPDX-License-Identifier: GPL-2.0-or-later
// Elements, made one by one. All text goes in as text nodes and attributes come from a short list, so that nothing a
// process calls itself can become markup. No other file makes elements.

const SVG = "http://www.w3.org/2000/svg";
const ATTRIBUTES = new Set([
	"class", "id", "role", "type", "tabindex", "title", "scope", "colspan", "for", "hidden", "datetime", "placeholder",
	"x", "y", "width", "height", "rx", "viewBox", "preserveAspectRatio", "focusable", "d",
]);

function setAttributes(element, attributes) {
	for (const [name, value] of Object.entries(attributes)) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name === "href") {
			// only places of this page and files of this server
			if (!/^(#|api\/|assets\/|debug\/)/.test(value))
				throw new Error("no link of this page");
		} else if (!ATTRIBUTES.has(name) && !/^(aria|data)-[a-z-]+$/.test(name)) {
			throw new Error(`no attribute of this page: ${name}`);
		}
		element.setAttribute(name, value === true ? "" : String(value));
	}
}

function append(element, children) {
	for (const child of children.flat(Infinity)) {
		if (child === null || child === undefined || child === false)
			continue;
		element.append(child instanceof Node ? child : document.createTextNode(String(child)));
	}
}

export function make(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);

	setAttributes(element, attributes);
	append(element, children);
	return element;
}

export function makeSvg(tag, attributes = {}, ...children) {
	const element = document.createElementNS(SVG, tag);

	setAttributes(element, attributes);
	append(element, children);
	return element;
}

// A name that a process gave: kept apart from the direction of the text around it.
export function name(text, kind = "") {
	return make("bdi", {class: `name ${kind}`.trim()}, text);
}

export function setText(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

// Gives the parent exactly these children in this order, moving as few as possible; what had the focus keeps it.
export function arrange(parent, children) {
	const focused = document.activeElement;
	const wanted = new Set(children);

	for (const child of [...parent.childNodes]) {
		if (!wanted.has(child))
			child.remove();
	}
	let at = parent.firstChild;
	for (const child of children) {
		if (child === at)
			at = at.nextSibling;
		else
			parent.insertBefore(child, at);
	}
	if (focused && focused !== document.activeElement && parent.contains(focused))
		focused.focus({preventScroll: true});
}
