// MathJax comes when the page is there: it is larger than the page.
const here = document.currentScript.src;
addEventListener("load", () => {
  const script = document.createElement("script");
  script.src = new URL("mathjax/tex-chtml-full.js", here);
  document.head.append(script);
});
