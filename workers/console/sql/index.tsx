import "../style/base.css";
import "../style/sql.css";
import { mount } from "../shell/shell.tsx";
import { SqlPage } from "./sql-page.tsx";

mount("sql", SqlPage);
