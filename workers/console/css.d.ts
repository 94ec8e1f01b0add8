/** The build gathers imported styles into one file for each page. */
declare module "*.css";
