import "../style/base.css";
import "../style/operations.css";
import { mount } from "../shell/shell.tsx";
import { OperationsPage } from "./operations-page.tsx";

mount("operations", OperationsPage);
